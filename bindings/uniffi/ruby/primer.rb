# frozen_string_literal: true

# Primer for Ruby: what Rubyists expect, in a few lines over each generated verb.
#
#   Primer.open(cluster: "shop", seeds: ["127.0.0.1:4000"]) do |primer|
#     jobs = primer.queue("jobs")
#     jobs.enqueue("one", copies: 2)
#     jobs.receive(wait_ms: 1000)&.settle { |delivery| puts delivery.body }
#     primer.broadcast("news", "tea is ready")
#   end
#
# A verb that may wait lets go of the interpreter lock, so other threads run on, and Timeout,
# Thread#raise and Ctrl-C end the wait; under a Fiber::Scheduler it yields its fiber instead.
# Times are milliseconds and say so in their names.

require "io/wait" # the generated code waits with it; part of Ruby itself only from 3.2
require_relative "primer/native"

module Primer
  # Every error of Primer: `rescue Primer::Error`. One class a hundred: WrongCall (mend the call),
  # NotNow (try again later), InDoubt (retry if a duplicate is harmless), TooLate (let it go),
  # MemberDown (stop, or open again). Each has number, kind, message and context.
  Error = PrimerError
  [Error::WrongCall, Error::NotNow, Error::InDoubt, Error::TooLate, Error::MemberDown].each do |hundred|
    hundred.include(Error)
    hundred.alias_method(:to_s, :message)
  end

  # Raised inside `settle`: this message can never succeed, so it is rejected, not nacked. As every
  # error it goes on to the caller.
  class Reject < StandardError
    # Why, as the dead letter's headers say it.
    def reason
      message.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    end
  end

  # Opens a member. With a block: yields it, closes it after, and answers the block's value.
  # Options are those of tests/conformance/surface.toml by name; seeds and secret may be arrays.
  def self.open(**options)
    bring_wakes
    member = Primer.open(options.to_h { |key, value| [key.to_s, Array(value).join(",")] })
    return member unless block_given?

    begin
      yield member
    ensure
      member.close
    end
  end

  @process = Process.pid

  # ffi's thread that carries wake-ups into Ruby does not survive a fork, and ffi starts it only
  # when a callback is made: without this the first wait of a forked child would never end.
  def self.bring_wakes
    FFI::Function.new(:void, []) { nil } if @process != Process.pid
    @process = Process.pid
  end
  private_class_method :bring_wakes

  class Header
    # From a hash or pairs.
    def self.list(headers)
      headers.map { |key, value| new(key: key.to_s, value: value.to_s) }
    end
  end

  class EnqueueOptions
    ON_SHORT = { degrade: OnShort::DEGRADE, fail: OnShort::FAIL, wait: OnShort::WAIT }.freeze

    IF_NO_GROUP = { hold: IfNoGroup::HOLD, drop: IfNoGroup::DROP, refuse: IfNoGroup::REFUSE }.freeze

    # From a Rubyist's words: on_short and if_no_group as symbols, headers as a hash or as pairs, at as
    # a Time.
    def self.from(on_short: nil, headers: {}, at: nil, if_no_group: nil, **others)
      new(on_short: one_of("on_short", ON_SHORT, on_short), at_ms: at && date(at),
          if_no_group: one_of("if_no_group", IF_NO_GROUP, if_no_group),
          headers: Header.list(headers), **others)
    end

    def self.one_of(name, words, word)
      return word && words.fetch(word.to_sym) if word.nil? || words.key?(word.to_sym)

      raise ArgumentError, "#{name} is one of #{words.keys.join(', ')}, not #{word}"
    end
    private_class_method :one_of

    # Milliseconds since 1970, never earlier than that Time; a past one is now.
    def self.date(at)
      at = at.to_time if at.respond_to?(:to_time)
      raise ArgumentError, "at is a Time, not #{at.inspect}" unless at.is_a?(Time)

      [(at.to_r * 1000).ceil, 0].max
    end
    private_class_method :date
  end

  class BrowseOptions
    STATES = { ready: State::READY, delayed: State::DELAYED, leased: State::LEASED }.freeze

    # From a Rubyist's words: states as symbols, headers as a hash or as pairs, group as any name.
    def self.from(states: [], headers: {}, group: nil, **others)
      new(states: states.map { |state| number(state) }, headers: Header.list(headers), group: group&.to_s, **others)
    end

    def self.number(state)
      STATES.fetch(state.to_sym) do
        raise ArgumentError, "states are #{STATES.keys.join(', ')}, not #{state}"
      end
    end
    private_class_method :number
  end

  class Browsed
    alias native_headers headers
    alias native_state state
    private :native_headers, :native_state

    # The producer's headers as pairs in their order; `headers.to_h` where names do not repeat.
    def headers
      native_headers.map { |header| [header.key, header.value] }
    end

    # What it was doing: :ready, :delayed or :leased.
    def state
      BrowseOptions::STATES.key(native_state)
    end
  end

  # Its messages, oldest first.
  class Page
    include Enumerable

    def each(&block)
      return enum_for unless block

      messages.each(&block)
      self
    end
  end

  class Account
    alias native_known known
    private :native_known

    # What the message is there: :ready, :leased, :standby, :acked, ...
    def known
      native_known.to_sym
    end
  end

  # The members' accounts, in the order of their ids.
  class Finding
    alias native_code code
    private :native_code

    # What it is, as a symbol: :no_consumer, :paused_out and so on.
    def code
      native_code.to_sym
    end
  end

  # Its findings, the most important first.
  class Diagnosis
    include Enumerable

    def each(&block)
      return enum_for unless block

      findings.each(&block)
      self
    end
  end

  class Explanation
    include Enumerable

    def each(&block)
      return enum_for unless block

      accounts.each(&block)
      self
    end
  end

  class Queue
    alias native_enqueue enqueue
    alias native_browse browse
    alias native_redrive redrive
    alias native_enqueue_many enqueue_many
    alias native_call call
    alias native_reply reply
    alias native_receive receive
    alias native_subscribe subscribe
    alias native_create_group create_group
    alias native_configure configure
    alias native_pause pause
    private :native_browse, :native_redrive, :native_enqueue, :native_enqueue_many, :native_call, :native_reply, :native_receive, :native_subscribe,
            :native_create_group, :native_configure, :native_pause

    # Puts a message into the queue and answers its Receipt.
    # Options: copies:, on_short: (:degrade, :fail, :wait), timeout_ms:, headers:; priority:, 0 (last) to
    # 9 (first); delay_ms: or at: (a Time), before which it is not given out; ttl_ms:, after which it
    # is not; max_attempts:, then it is a dead letter in the queue "<queue>.dead"; at_most_once: true;
    # if_no_group: (:hold, :drop, :refuse), what becomes of it where the queue has no group; key:, those of one come in
    # line; dedup:, within dedup_window_ms: (300,000) those with the same are one, and the receipt is_duplicate. 101
    # for a dedup: of more than one message, of a call, or with at_most_once:, and for a dedup_window_ms: without it;
    # another window is another key.
    def enqueue(body, **options)
      native_enqueue(body, options.empty? ? nil : EnqueueOptions.from(**options))
    end

    # Puts messages into the queue, all or none, and answers their Receipts; they share the options.
    def enqueue_many(bodies, **options)
      native_enqueue_many(bodies, options.empty? ? nil : EnqueueOptions.from(**options))
    end

    # Puts a message into the queue and answers the Reply of whoever handles it; InDoubt (302) when none
    # came within timeout_ms. Options: as enqueue's, but its timeout_ms; without ttl_ms it expires with
    # the timeout.
    #
    #   sum = primer.queue("sums").call("2 + 2", timeout_ms: 5000).body
    def call(body, timeout_ms: 30_000, **options)
      native_call(body, timeout_ms, options.empty? ? nil : EnqueueOptions.from(**options))
    end

    # As Delivery#reply.
    def reply(delivery, body, headers: {})
      native_reply(delivery, body, Header.list(headers))
    end

    # Looks at messages without taking them, at every member that answers in time, and answers a Page, which
    # is Enumerable. Options: max: (100), after: (the cursor of the page before), group:, states: (of :ready,
    # :delayed, :leased), headers:, body_bytes_max:, timeout_ms:.
    def browse(**options)
      native_browse(BrowseOptions.from(**options))
    end

    # All Pages one after the other, each asked for when it is wanted. Options: as browse.
    def browse_all(**options)
      return enum_for(:browse_all, **options) unless block_given?

      loop do
        page = browse(**options)
        yield page
        break unless page.cursor

        options[:after] = page.cursor
      end
    end

    # Moves dead letters back to where they came from, at every member that answers in time, and answers a
    # Redriven. Options: to: (a queue, in place of that), max: (10,000 of all members together), headers: (such as
    # "primer-cause"), ids:, dry_run: true (they are only counted), timeout_ms:.
    def redrive(to: nil, headers: {}, **options)
      native_redrive(RedriveOptions.new(to: to&.to_s, headers: Header.list(headers), **options))
    end

    # The next Delivery, waiting for it up to wait_ms; nil when there was none. Options: as receive_many.
    def receive(**options)
      receive_many(1, **options).first
    end

    # Up to max Deliveries, waiting up to wait_ms for the first; perhaps none. In a group, which is
    # created where there is none, with backlog: true as create_group says.
    def receive_many(max, wait_ms: 0, lease_ms: nil, group: nil, backlog: false)
      options = { wait_ms: wait_ms, lease_ms: lease_ms, group: group&.to_s, backlog: backlog }
      native_receive(ReceiveOptions.new(max: max, **options))
    end

    # Push: at most credit unsettled Deliveries at a time, in a group as receive_many's. With a block:
    # yields the Subscription, closes it after, and answers the block's value.
    def subscribe(credit: 64, lease_ms: nil, credit_bytes: nil, max_run_ms: nil, group: nil, backlog: false, &block)
      options = { lease_ms: lease_ms, credit_bytes: credit_bytes, max_run_ms: max_run_ms, group: group&.to_s,
                  backlog: backlog }
      subscription = native_subscribe(SubscribeOptions.new(credit: credit, **options))
      block ? subscription.open_for(&block) : subscription
    end

    # Changes the queue's settings, for the whole cluster; nil unsets one: copies:, on_short:,
    # enqueue_timeout_ms:, lease_ms:, max_attempts:, ttl_ms:, backoff_ms:, backoff_ms_max:, dead_letters:,
    # messages_max:, bytes_max:, overflow: (:refuse, :drop_oldest), takeover_after_ms:, key_concurrency:, paused: (:none, :in,
    # :out, :both).
    def configure(settings)
      native_configure(Primer.settings(settings))
    end

    # Stops the queue for the whole cluster: :in for producers, :out for consumers, or :both.
    def pause(direction = :both)
      native_pause(direction.to_s)
    end

    # Creates a named group: from now on each message goes to every group once, and the consumers of
    # one group share its messages. With backlog: true it gets what waits in the queue, too.
    def create_group(group, backlog: false)
      native_create_group(group.to_s, backlog)
    end
  end

  class Delivery
    alias native_headers headers
    alias native_reply reply
    private :native_headers, :native_reply

    # The producer's headers as pairs in their order; `headers.to_h` where names do not repeat.
    def headers
      native_headers.map { |header| [header.key, header.value] }
    end

    # Replies to whoever waits for this message's reply, then acks it. Best effort: a caller that is gone
    # is no error; WrongCall (101) for a message that asks for no reply (see wants_reply).
    def reply(body, headers: {})
      native_reply(body, Header.list(headers))
    end

    # Yields this delivery, acks it and answers the block's value; where somebody waits for a reply, a String
    # is that, too. An error nacks it, or rejects it when
    # it is a Reject, and goes on to the caller; any other way out (Ctrl-C, a jump) lets go of it:
    # again at once, for anyone.
    def settle
      is_open = true
      value = yield self
      is_open = false
      value.is_a?(String) && wants_reply ? reply(value) : ack
      value
    rescue StandardError => e
      give_up(e) if is_open
      is_open = false
      raise
    ensure
      let_go if is_open
    end

    private

    # A lease that is gone is no news to a caller whose work has just failed.
    def give_up(error)
      error.is_a?(Reject) ? reject(error.reason) : nack
    rescue Error
      nil
    end
  end

  # The generated comparison takes anything else for one of its kind.
  module Value
    def ==(other)
      other.instance_of?(self.class) && super
    end
  end

  [Receipt, Reply, Page, Browsed, Explanation, Account, Redriven, Diagnosis, Finding, Facts, Member, Event, Broadcast, Entry, Change].each { |type| type.prepend(Value) }

  # What is read as it comes: a Subscription's Deliveries, a Topic's Broadcasts, a Watch's Changes,
  # Events. Enumerable; but the last three have the table's `take`: what is here already. `first`
  # waits.
  module Reader
    include Enumerable

    # How long one native wait lasts before the next one begins; nobody sees it.
    WAIT_MS = 60_000
    CLOSED = 501
    private_constant :WAIT_MS, :CLOSED

    # Yields each item as it comes, until the reader or its member is closed.
    def each
      return to_enum unless block_given?

      loop do
        item = begin
          self.next(WAIT_MS)
        rescue Error::MemberDown => e
          # Closed is the end; a member that broke down is not.
          return self if e.number == CLOSED

          raise
        end
        yield item if item
      end
    end

    # Yields itself, closes itself after, and answers the block's value.
    def open_for
      yield self
    ensure
      close
    end
  end

  [Subscription, Topic, Watch, Events].each { |type| type.include(Reader) }

  class Primer
    # Settings as the core reads them; nil unsets one.
    def self.settings(settings)
      settings.to_h { |key, value| [key.to_s, value.to_s] }
    end

    alias native_set_policy set_policy
    alias native_on on
    alias native_watch watch
    private :native_on, :native_watch, :native_set_policy

    # Settings, as Queue#configure's, for every queue whose name begins with prefix, "" for all, in place of
    # those before. The longest prefix counts, whole; a queue's own settings are above it.
    def set_policy(prefix, settings)
      native_set_policy(prefix.to_s, Primer.settings(settings))
    end

    # A reader of what is broadcast to the topic from now on. With a block: yields it, closes it
    # after, and answers the block's value.
    #
    #   primer.on("chat").each { |broadcast| puts "#{broadcast.from}: #{broadcast.body}" }
    def on(topic, &block)
      reader = native_on(topic)
      block ? reader.open_for(&block) : reader
    end

    # A reader of changes of the keys that begin with prefix, from now on. With a block: yields it,
    # closes it after, and answers the block's value.
    def watch(prefix = "", &block)
      reader = native_watch(prefix)
      block ? reader.open_for(&block) : reader
    end
  end
end
