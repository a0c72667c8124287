# frozen_string_literal: true

# Primer for Ruby: what Rubyists expect, in a few lines over each generated verb.
#
#   Primer.open(cluster: "shop", seeds: ["127.0.0.1:4000"]) do |primer|
#     jobs = primer.queue("jobs")
#     jobs.enqueue("one", copies: 2)
#     jobs.receive(wait_ms: 1000)&.settle { |delivery| puts delivery.body }
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

  # Opens a member. With a block: yields it, closes it after, and answers the block's value.
  # Options are surface.md's by name; seeds may be an array.
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

  class EnqueueOptions
    ON_SHORT = { degrade: OnShort::DEGRADE, fail: OnShort::FAIL, wait: OnShort::WAIT }.freeze

    # From a Rubyist's words: on_short as a symbol, headers as a hash or as pairs.
    def self.from(copies: nil, on_short: nil, timeout_ms: nil, headers: {})
      if on_short && !ON_SHORT.key?(on_short.to_sym)
        raise ArgumentError, "on_short is one of #{ON_SHORT.keys.join(', ')}, not #{on_short}"
      end

      new(copies: copies, on_short: on_short && ON_SHORT[on_short.to_sym], timeout_ms: timeout_ms,
          headers: headers.map { |key, value| Header.new(key: key.to_s, value: value.to_s) })
    end
  end

  class Queue
    alias native_enqueue enqueue
    alias native_enqueue_many enqueue_many
    alias native_receive receive
    alias native_subscribe subscribe
    private :native_enqueue, :native_enqueue_many, :native_receive, :native_subscribe

    # Puts a message into the queue and answers its Receipt.
    # Options: copies:, on_short: (:degrade, :fail, :wait), timeout_ms:, headers:.
    def enqueue(body, **options)
      native_enqueue(body, EnqueueOptions.from(**options))
    end

    # Puts messages into the queue, all or none, and answers their Receipts.
    def enqueue_many(bodies, **options)
      native_enqueue_many(bodies, EnqueueOptions.from(**options))
    end

    # The next Delivery, waiting for it up to wait_ms; nil when there was none.
    def receive(wait_ms: 0, lease_ms: nil)
      receive_many(1, wait_ms: wait_ms, lease_ms: lease_ms).first
    end

    # Up to max Deliveries, waiting up to wait_ms for the first; perhaps none.
    def receive_many(max, wait_ms: 0, lease_ms: nil)
      native_receive(ReceiveOptions.new(max: max, wait_ms: wait_ms, lease_ms: lease_ms))
    end

    # Push: at most credit unsettled Deliveries at a time. With a block: yields the Subscription,
    # closes it after, and answers the block's value.
    def subscribe(credit: 64, lease_ms: nil)
      subscription = native_subscribe(SubscribeOptions.new(credit: credit, lease_ms: lease_ms))
      return subscription unless block_given?

      begin
        yield subscription
      ensure
        subscription.close
      end
    end
  end

  class Delivery
    alias native_headers headers
    private :native_headers

    # The producer's headers as pairs in their order; `headers.to_h` where names do not repeat.
    def headers
      native_headers.map { |header| [header.key, header.value] }
    end

    # Yields this delivery, acks it and answers the block's value. An error nacks it and goes on to
    # the caller; any other way out (Ctrl-C, a jump) lets go of it: again at once, for anyone.
    def settle
      is_open = true
      value = yield self
      is_open = false
      ack
      value
    rescue StandardError
      give_back if is_open
      is_open = false
      raise
    ensure
      let_go if is_open
    end

    private

    # A lease that is gone is no news to a caller whose work has just failed.
    def give_back
      nack
    rescue Error
      nil
    end
  end

  class Subscription
    include Enumerable

    # How long one native wait lasts before the next one begins; nobody sees it.
    WAIT_MS = 60_000
    private_constant :WAIT_MS

    # Yields each Delivery as it comes, until the subscription or its member is closed.
    def each
      return to_enum unless block_given?

      loop do
        delivery = begin
          self.next(WAIT_MS)
        rescue Error::MemberDown
          return self
        end
        yield delivery if delivery
      end
    end
  end
end
