# frozen_string_literal: true

require "primer"
require_relative "explain"
require_relative "gossip"
require_relative "scenario"

# What the names of one scenario stand for, and how each step is done and held to its expectation.
class World
  include Explain
  include Gossip

  # A step that differs from what the file says.
  class Differs < StandardError; end

  # Waits end by an event; this is only how long the runner believes in one.
  PATIENCE_MS = 20_000

  def initialize
    @members = {}
    @messages = {}
    @subscriptions = {}
    @readers = {}
    @calls = {}
    @cursors = {}
    @deliveries = Hash.new { |all, key| all[key] = [] }
    # Which queue a delivery came from.
    @homes = {}.compare_by_identity
  end

  # Does one step. Raises Differs.
  def step(step)
    wanted = step.expect.first
    number = wanted && wanted.size == 2 && wanted[0].plain?("error") ? Integer(wanted[1].text, 10) : nil
    begin
      given = send("do_#{step.verb}", step)
    rescue Primer::Error => e
      raise Differs, number ? "wanted error #{number}, got #{e.message}" : "failed: #{e.message}" if e.number != number

      return
    end
    raise Differs, "wanted error #{number}, but it succeeded" if number

    compare(step, given)
  end

  # Closes every member.
  def close
    @members.each_value { |member, _| member.close }
  end

  private

  def do_open(step)
    pairs = step.options.to_h do |word|
      next [word.key.to_sym, word.text] unless word.key == "join"

      [:seeds, word.text.split(",").map { |name| address(name) }]
    end
    # Scenarios of one cluster's name may run side by side: only one that asks for it meets by name.
    pairs[:discover] ||= "none" unless pairs.empty?
    member = Primer.open(**pairs)
    @members[step.name(0)] = [member, member.events]
    :done
  end

  def do_join(step)
    to = step.args[1]
    member(step).join(to.is_text ? to.text : address(to.text))
    :done
  end

  def do_leave(step)
    member(step).leave(step.number("drain"), step.option("force")&.text == "true")
    :done
  end

  def do_close(step)
    member(step).close
    :done
  end

  def do_address(step)
    member(step).address ? "some" : "none"
  end

  def do_members(step)
    awaited(step) { member(step).members.count(&:is_reachable) }
  end

  def do_stats(step)
    awaited(step) { member(step).stats.fetch(step.name(1), 0) }
  end

  # Events of other kinds are skipped.
  def do_event(step)
    _, events = @members.fetch(step.name(0))
    ends = now_ms + PATIENCE_MS
    while (left = ends - now_ms).positive?
      event = events.next(left)
      return :done if event&.kind == step.name(1)
    end
    raise Differs, "no event #{step.name(1)} within #{PATIENCE_MS} ms"
  end

  def do_enqueue(step)
    [queue(step).enqueue(step.args[2].value, **enqueue_options(step))]
  end

  def do_enqueue_many(step)
    queue(step).enqueue_many(step.args.drop(2).map(&:value), **enqueue_options(step))
  end

  # It goes on beside the other steps, in a thread.
  def do_call(step)
    options = { timeout_ms: PATIENCE_MS, **enqueue_options(step).compact }
    queue = queue(step)
    call = Thread.new { queue.call(step.args[2].value, **options) }
    call.report_on_exception = false
    @calls[step.expect.dig(0, 0).text] = call
    :compared
  end

  def do_reply(step)
    received(step, 1).reply(step.args[2].value, headers: step.headers)
    :done
  end

  def do_replied(step)
    reply = @calls.delete(step.name(0)).value
    return :done if step.expect.first.first.plain?("error")

    body, *words = step.expect.first
    differ(body.text[0, 40], reply.body[0, 40]) if reply.body.b != body.value
    headers = reply.headers.to_h { |header| ["header.#{header.key}", header.value] }
    words.each { |word| differ(word.text, headers[word.key]) if headers[word.key] != word.text }
    :compared
  end

  def do_receive(step)
    options = { wait_ms: step.number("wait") || 0, lease_ms: step.number("lease"), **in_group(step) }
    queue(step).receive_many(step.number("max") || 1, **options)
  end

  def do_browse(step)
    page = queue(step).browse(**look(step))
    return :done if step.expect.dig(0, 0)&.plain?("error")

    groups = step.expect.dig(0, 0)&.plain?("empty") ? [] : step.expect
    differ("#{groups.size} messages", page.to_a.size) if groups.size != page.to_a.size
    groups.zip(page.to_a) { |words, browsed| check_browsed(browsed, *words) }
    missing = step.number("missing") || 0
    differ("#{missing} missing", page.missing) if page.missing.size != missing
    note_cursor(step.option("cursor"), page.cursor)
    :compared
  end

  def do_redrive(step)
    told = queue(step).redrive(**letters(step))
    return :done if step.expect.dig(0, 0)&.plain?("error")

    step.expect.flatten.each do |word|
      has = told.public_send(word.key)
      differ("#{word.key}=#{word.text}", told.inspect) if has.to_s != word.text
    end
    missing = step.number("missing") || 0
    differ("#{missing} missing", told.missing) if told.missing.size != missing
    :compared
  end

  def letters(step)
    ids = step.option("ids")
    names = ids&.text&.split(",")
    names = names.map { |name| @messages.fetch(name) } if ids && !ids.is_text
    { to: step.option("to")&.text, max: step.number("max"), headers: step.headers, ids: names,
      dry_run: step.option("dry_run")&.text == "true", timeout_ms: step.number("timeout") || PATIENCE_MS }.compact
  end

  def note_cursor(word, cursor)
    return unless word

    differ("cursor #{word.text}", cursor) if (word.text == "none") != cursor.nil?
    @cursors[word.text] = cursor
  end

  def look(step)
    after = step.option("after")
    after &&= after.is_text ? after.text : @cursors.fetch(after.text)
    { max: step.number("max"), after: after, group: step.option("group")&.text, headers: step.headers,
      states: step.option("states")&.text&.split(","), body_bytes_max: step.number("body_bytes"),
      timeout_ms: step.number("timeout") || PATIENCE_MS }.compact
  end

  def check_browsed(browsed, name, *words)
    bind(name.text, browsed.id)
    headers = browsed.headers.to_h.transform_keys { |key| "header.#{key}" }
    words.each do |word|
      has = case word.key
            when nil then browsed.body.b
            when "bytes" then browsed.body_bytes
            when /\Aheader\./ then headers[word.key]
            else browsed.public_send(word.key)
            end
      differ(word.text, has) if has.to_s.b != word.value
    end
    dated = [browsed.ready_at_ms, browsed.lease_ms].map { |date| !date.nil? }
    differ("dates of its state", browsed.inspect) if dated != [browsed.state == :delayed, browsed.state == :leased]
  end

  def do_subscribe(step)
    options = { credit: step.number("credit") || 64, lease_ms: step.number("lease"), **in_group(step),
                credit_bytes: step.number("credit_bytes"), max_run_ms: step.number("max_run") }
    subscription = queue(step).subscribe(**options)
    bound = step.expect.dig(0, 0) or raise Differs, "no name to bind"
    @subscriptions[bound.text] = [step.name(0), subscription, queue(step)]
    bound.text
  end

  def do_create_group(step)
    queue(step).create_group(step.name(2), backlog: backlog?(step))
    :done
  end

  def do_remove_group(step)
    queue(step).remove_group(step.name(2))
    :done
  end

  def do_groups(step) = becomes(step) { queue(step).groups }

  def do_configure(step)
    queue(step).configure(settings_in(step.name(2)))
    :done
  end

  def do_configuration(step)
    becomes(step) { queue(step).configuration.map { |key, value| "#{key}=#{value}" }.sort }
  end

  def do_pause(step)
    queue(step).pause(step.name(2))
    :done
  end

  def do_resume(step)
    queue(step).resume
    :done
  end

  def do_purge(step)
    queue(step).purge
    :done
  end

  def do_set_policy(step)
    member(step).set_policy(step.name(1), settings_in(step.name(2)))
    :done
  end

  def do_remove_policy(step)
    member(step).remove_policy(step.name(1))
    :done
  end

  def do_policies(step) = becomes(step) { member(step).policies.keys.sort }

  # Waits until the member knows just these.
  def becomes(step)
    wanted = step.expect.flatten.map(&:text)
    wanted = [] if wanted == ["empty"]
    ends = now_ms + PATIENCE_MS
    until (known = yield) == wanted
      differ(wanted, known.join(" ")) if now_ms > ends
      sleep 0.01
    end
    :compared
  end

  # Settings between spaces; one without a value is unset.
  def settings_in(text)
    text.split.to_h { |pair| pair.split("=", 2) }
  end

  def do_next(step)
    [subscription(step).next(step.number("wait") || 0)].compact
  end

  def do_credit(step)
    subscription(step).credit(Integer(step.name(1), 10))
    :done
  end

  def do_unsubscribe(step)
    subscription(step).close
    :done
  end

  def do_ack(step)
    received(step, 1).ack
    :done
  end

  def do_ack_many(step)
    deliveries = (1...step.args.size).map { |index| received(step, index) }
    @homes.fetch(deliveries.first).ack_many(deliveries)
  end

  def do_nack(step)
    received(step, 1).nack(step.number("delay"))
    :done
  end

  def do_release(step)
    received(step, 1).release
    :done
  end

  def do_reject(step)
    received(step, 1).reject(step.option("reason")&.text.to_s)
    :done
  end

  def do_extend(step)
    received(step, 1).extend(step.number("lease"))
    :done
  end

  def do_drop(step)
    received(step, 1).let_go
    @deliveries[[step.name(0), step.name(1)]].pop
    :done
  end

  def compare(step, given)
    wanted = step.expect.flatten.map(&:text)
    case given
    when :compared then nil
    when :done then differ(wanted, "success") unless wanted.empty? || wanted == ["ok"]
    when String then differ(wanted, given) unless wanted.empty? || wanted == [given]
    else compare_list(step, given, wanted)
    end
  end

  def compare_list(step, given, wanted)
    if given.first.is_a?(Integer) then differ(wanted, given.join(" ")) unless wanted == given.map(&:to_s)
    elsif given.first.is_a?(Primer::Receipt) then bind_receipts(step, given)
    else bind_deliveries(step, given)
    end
  end

  def bind_receipts(step, receipts)
    return if step.expect.empty?

    names, counts = step.expect.first.partition { |word| word.key.nil? }
    raise Differs, "#{names.size} names for #{receipts.size} receipts" if names.size != receipts.size

    names.zip(receipts) do |name, receipt|
      counts.each do |word|
        has = receipt.public_send(word.key)
        differ("#{word.key}=#{word.text}", has) if word.text != has.to_s
      end
      bind(name.text, receipt.id)
    end
  end

  def bind_deliveries(step, deliveries)
    is_empty = step.expect.size == 1 && step.expect.first.size == 1 && step.expect.first.first.plain?("empty")
    count = is_empty ? 0 : step.expect.size
    if step.expect.any? && deliveries.size != count
      raise Differs, "wanted #{count} messages, got #{deliveries.map { |one| name_of(one.id) }}"
    end

    member, _, home = step.verb == "next" ? @subscriptions.fetch(step.name(0)) : [step.name(0), nil, nil]
    deliveries.zip(step.expect) do |delivery, words|
      next delivery.let_go unless words

      bind(words.first.text, delivery.id)
      check(delivery, words)
      @deliveries[[member, words.first.text]] << delivery
      @homes[delivery] = home || queue(step)
    end
  end

  def check(delivery, words)
    words.drop(1).each do |word|
      name = word.key&.delete_prefix("header.")
      has = case word.key
            when nil then delivery.body
            when "attempts" then delivery.attempts.to_s
            when "priority" then delivery.priority.to_s
            when "key" then delivery.key.to_s
            else delivery.headers.to_h[name].to_s
            end
      next if has.b == word.value

      differ("#{words.first.text} #{word.key || "body"} #{word.value[0, 40].inspect} (#{word.value.bytesize} bytes)",
             "#{has[0, 40].inspect} (#{has.bytesize} bytes)")
    end
  end

  # Binds a new name to an id; a name that is bound must be that id.
  def bind(name, id)
    differ(name, name_of(id)) if (@messages[name] ||= id) != id
  end

  def name_of(id)
    @messages.key(id) || id
  end

  def differ(wanted, got)
    raise Differs, "wanted #{[*wanted].join(' ')}, got #{got}"
  end

  # Waits until a count is the one that the step wants.
  def awaited(step)
    wanted = step.expect.flatten.map(&:text)
    ends = now_ms + PATIENCE_MS
    until wanted == [(count = yield).to_s]
      # An error was wanted, or nothing.
      return :done if wanted.empty?
      return count.to_s if wanted.first == "error" || now_ms > ends

      sleep 0.01
    end
    count.to_s
  end

  def now_ms
    Process.clock_gettime(Process::CLOCK_MONOTONIC, :millisecond)
  end

  def enqueue_options(step)
    at = step.number("at")
    { copies: step.number("copies"), on_short: step.option("on_short")&.text,
      timeout_ms: step.number("timeout"), headers: step.headers, priority: step.number("priority"),
      delay_ms: step.number("delay"), at: at && Time.now + Rational(at, 1000), ttl_ms: step.number("ttl"),
      max_attempts: step.number("max_attempts"), at_most_once: step.option("at_most_once")&.text == "true",
      if_no_group: step.option("if_no_group")&.text, key: step.option("key")&.text,
      dedup: step.option("dedup")&.text, dedup_window_ms: step.number("dedup_window") }
  end

  def in_group(step)
    { group: step.option("group")&.text, backlog: backlog?(step) }
  end

  def backlog?(step)
    step.option("backlog")&.text == "true"
  end

  def member(step)
    @members.fetch(step.name(0)) { |name| raise Differs, "there is no member `#{name}`" }.first
  end

  def queue(step)
    member(step).queue(step.name(1))
  end

  def subscription(step)
    @subscriptions.fetch(step.name(0)) { |name| raise Differs, "there is no subscription `#{name}`" }[1]
  end

  def address(name)
    @members.fetch(name).first.address or raise Differs, "`#{name}` has no address"
  end

  def received(step, index)
    key = [step.name(0), step.name(index)]
    @deliveries[key].last or raise Differs, "`#{key[0]}` never received `#{key[1]}`"
  end
end
