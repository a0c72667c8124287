# frozen_string_literal: true

# What Ruby promises beyond the scenarios: waits that let others run and can be ended, blocks that
# clean up, errors by hundred, forks, clean exits.
#
#   ruby -I build/uniffi/ruby bindings/uniffi/tests/idioms.rb

require "open3"
require "primer"
require "rbconfig"
require "timeout"

# Long enough for any machine; no test waits for it to pass.
PATIENCE_MS = 20_000

TESTS = {}

def test(name, &block)
  TESTS[name] = block
end

def equal(wanted, got)
  raise "wanted #{wanted.inspect}, got #{got.inspect}" unless wanted == got
end

def raises(type)
  yield
rescue type => e
  e
else
  raise "wanted #{type}, but nothing was raised"
end

# Runs a program of its own; answers its output and raises unless it ended well.
def program(text)
  output, status = Open3.capture2e(RbConfig.ruby, "-I", $LOAD_PATH.first, "-r", "primer", "-e", text)
  raise "#{status}: #{output}" unless status.success?

  output
end

test "a block closes its member, also when it raises" do
  kept = nil
  equal(7, Primer.open { |primer| (kept = primer) && 7 })
  equal(501, raises(Primer::Error::MemberDown) { kept.members }.number)
  raises(KeyError) { Primer.open { |primer| (kept = primer) && raise(KeyError, "mine") } }
  equal(501, raises(Primer::Error) { kept.members }.number)
end

test "an error has its number, kind, message and context, and a class for its hundred" do
  error = raises(Primer::Error::WrongCall) { Primer.open(colour: "red") }
  equal([101, "InvalidArgument"], [error.number, error.kind])
  equal(true, error.message.start_with?("101 InvalidArgument"))
  equal(true, error.to_s == error.message && error.context.is_a?(Hash))
  equal(true, error.is_a?(Primer::Error) && error.is_a?(StandardError))
end

test "a thread that waits lets the others run" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    waiters = Array.new(8) { Thread.new { jobs.receive(wait_ms: PATIENCE_MS).settle(&:body) } }
    8.times { |index| jobs.enqueue(index.to_s) }
    equal(%w[0 1 2 3 4 5 6 7], waiters.map(&:value).sort)
  end
end

test "a wait can be ended from outside, and no message is lost by it" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    is_waiting = ::Queue.new
    waiter = Thread.new do
      is_waiting << true
      jobs.receive(wait_ms: PATIENCE_MS * 10)
    rescue Interrupt
      :ended
    end
    is_waiting.pop
    waiter.raise(Interrupt)
    equal(:ended, waiter.value)
    jobs.enqueue("one")
    equal(["one", 1], jobs.receive(wait_ms: PATIENCE_MS).settle { |delivery| [delivery.body, delivery.attempts] })
  end
end

test "Timeout ends a wait" do
  Primer.open do |primer|
    subscription = primer.queue("jobs").subscribe
    raises(Timeout::Error) { Timeout.timeout(0.05) { subscription.next(PATIENCE_MS * 10) } }
    primer.queue("jobs").enqueue("one")
    equal("one", subscription.next(PATIENCE_MS).settle(&:body))
  end
end

test "settle acks what went well, nacks what failed and lets go of what was left" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    jobs.enqueue("one", headers: { from: "ruby" })
    raises(KeyError) { jobs.receive.settle { raise KeyError, "mine" } }
    again = jobs.receive(wait_ms: PATIENCE_MS)
    equal([2, [%w[from ruby]]], [again.attempts, again.headers])
    catch(:out) { again.settle { throw :out } }
    equal(101, raises(Primer::Error) { again.body }.number)
    equal("ONE", jobs.receive(wait_ms: PATIENCE_MS).settle { |delivery| delivery.body.upcase })
    equal(nil, jobs.receive)
  end
end

test "a producer says in which order, from when and how often; a batch shares it" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    jobs.enqueue("low", priority: 0)
    jobs.enqueue("usual")
    jobs.enqueue_many(%w[1 2], priority: 9, max_attempts: 1, headers: { from: "ruby" })
    jobs.enqueue("in an hour", delay_ms: 3_600_000)
    jobs.enqueue("at its date", at: Time.now + 3_600)
    jobs.enqueue("past", at: Time.at(-1), ttl_ms: 3_600_000)
    all = jobs.receive_many(9)
    equal([["1", 9], ["2", 9], ["usual", 4], ["past", 4], ["low", 0]], all.map { |one| [one.body, one.priority] })
    all.first(2).each { |one| one.nack(0) }
    equal(%w[1 2], primer.queue("jobs.dead").receive_many(9).map(&:body).sort)
    once = jobs.enqueue("once", at_most_once: true)
    equal([1, 1], [once.copies, once.wanted])
    jobs.receive.let_go
    equal(nil, jobs.receive)
  end
end

test "a rejected message goes on as a dead letter with its reason" do
  Primer.open do |primer|
    jobs, dead = primer.queue("jobs"), primer.queue("jobs.dead")
    reason = -> { dead.receive(wait_ms: PATIENCE_MS).settle { |letter| letter.headers.to_h["primer-reason"] } }
    jobs.enqueue_many(%w[one two three])
    first = jobs.receive
    first.reject("no such customer")
    equal("no such customer", reason.call)
    equal(402, raises(Primer::Error::TooLate) { first.reject("again") }.number)
    error = raises(Primer::Reject) { jobs.receive.settle { raise Primer::Reject, "no such grüße" } }
    equal(["no such grüße"] * 2, [error.message, reason.call])
    raises(Primer::Reject) { jobs.receive.settle { raise Primer::Reject, "a\xff".b } }
    equal("a\u{fffd}", reason.call)
    equal([nil, nil], [jobs.receive, dead.receive])
  end
end

test "terms that there are not are refused" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    [{ priority: 10 }, { ttl_ms: 0 }, { max_attempts: 0 }, { delay_ms: 1, at: Time.now }, { delay_ms: 2**62 },
     { at: Time.at(2**50) }, { at_most_once: true, copies: 2 }].each do |options|
      equal(101, raises(Primer::Error::WrongCall) { jobs.enqueue("one", **options) }.number)
      equal(101, raises(Primer::Error::WrongCall) { jobs.enqueue_many(%w[one], **options) }.number)
    end
    [{ priority: 256 }, { priority: -1 }, { delay_ms: -1 }, { max_attempts: 2**32 }].each do |options|
      raises(RangeError) { jobs.enqueue("one", **options) }
    end
    [{ priority: "high" }, { delay_ms: "30s" }].each { |options| raises(TypeError) { jobs.enqueue("one", **options) } }
    [{ at: 1_900_000_000 }, { at: "noon" }, { at_mots_once: true }].each do |options|
      raises(ArgumentError) { jobs.enqueue("one", **options) }
    end
    equal(nil, jobs.receive)
  end
end

test "bodies are bytes, texts are UTF-8" do
  Primer.open do |primer|
    jobs = primer.queue("grüße")
    jobs.enqueue("grüße")
    jobs.enqueue([0, 255, 10].pack("C*"))
    first, second = jobs.receive_many(2)
    equal([Encoding::BINARY, "grüße"], [first.body.encoding, first.body.dup.force_encoding("UTF-8")])
    equal([0, 255, 10], second.body.bytes)
    equal("grüße", jobs.name)
  end
end

test "a subscription is enumerable and ends when it is closed" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    jobs.enqueue_many(%w[1 2 3 4])
    jobs.subscribe(credit: 2) do |subscription|
      equal(%w[1 2 3], subscription.lazy.map { |delivery| delivery.settle(&:body) }.first(3))
    end
    subscription = jobs.subscribe
    reader = Thread.new { subscription.each(&:ack) }
    subscription.close
    equal(subscription, reader.value)
  end
end

test "what is worked on for longer than its lease stays its worker's, also when the subscription closes" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    clock = primer.queue("clock")
    jobs.enqueue("slow", headers: { traceparent: "00-ab-cd-01" })
    subscription = jobs.subscribe(lease_ms: 200, max_run_ms: 3_600_000)
    slow = subscription.next(PATIENCE_MS)
    subscription.close
    clock.enqueue("tick")
    first = clock.receive(lease_ms: 1000)
    # Until that lease ran out: an event of the engine's, after many of the shorter ones.
    equal(2, clock.receive(wait_ms: PATIENCE_MS).settle(&:attempts))
    # Held on to: what becomes garbage goes back at once.
    equal(1, first.attempts)
    equal(nil, jobs.receive)
    equal([%w[traceparent 00-ab-cd-01]], slow.headers)
    slow.ack
  end
end

# Two members that see each other, and whom nobody else meets.
def pair
  Primer.open(listen: "127.0.0.1:0", discover: "none") do |ann|
    Primer.open(seeds: [ann.address], discover: "none") do |bob|
      [ann, bob].each do |member|
        events = member.events
        until member.members.count(&:is_reachable) == 2
          events.next(PATIENCE_MS) or raise "they do not see each other"
        end
      end
      yield ann, bob
    end
  end
end

test "a topic is enumerable and ends when it is closed, also for who waits" do
  Primer.open do |primer|
    primer.on("chat") do |chat|
      %w[1 2 3].each { |body| primer.broadcast("chat", body) }
      equal(%w[1 2], chat.first(2).map(&:body))
      equal(%w[3], chat.take(9).map(&:body))
    end
    chat = primer.on("chat")
    reader = Thread.new { chat.each { raise "nobody said that" } }
    Thread.pass until reader.status == "sleep"
    chat.close
    equal(chat, reader.value)
    primer.broadcast("chat", "4")
    equal(501, raises(Primer::Error::MemberDown) { chat.next(PATIENCE_MS) }.number)
    chat.close
  end
end

test "each reader hears everything of its topic, and says from whom" do
  pair do |ann, bob|
    readers = [ann.on("chat"), bob.on("chat"), bob.on("chat")]
    other = bob.on("other")
    waiters = readers.map { |reader| Thread.new { reader.next(PATIENCE_MS) } }
    body = [0, 255, 0, 10].pack("C*")
    ann.broadcast("chat", body)
    id = ann.members.find(&:is_self).id
    heard = Primer::Broadcast.new(topic: "chat", from: id, body: body)
    equal([heard] * 3, waiters.map(&:value))
    equal([[], 0], [other.take(1), other.missed])
  end
end

test "Timeout ends a wait for a broadcast, and none is lost by it" do
  Primer.open do |primer|
    chat = primer.on("chat")
    raises(Timeout::Error) { Timeout.timeout(0.05) { chat.next(PATIENCE_MS * 10) } }
    primer.broadcast("chat", "one")
    equal("one", chat.next(PATIENCE_MS).body)
  end
end

test "keys are bytes; nil is one that is not there" do
  pair do |ann, bob|
    watch = bob.watch("jobs/")
    value = [0, 255, 0].pack("C*")
    ann.put("jobs/grüße", value)
    ann.put("other", "")
    change = watch.next(PATIENCE_MS)
    equal(Primer::Change.new(key: "jobs/grüße", value: value), change)
    equal([Encoding::BINARY, value], [bob.get("jobs/grüße").encoding, bob.get("jobs/grüße")])
    entry = ann.list("jobs/").first
    equal(["jobs/grüße", value, []], [entry.key, entry.value, entry.others])
    equal(true, (Time.now.to_f * 1000 - entry.at_ms).abs < 3_600_000)
    equal([["jobs/grüße", value], ["other", ""]], ann.list.map { |one| [one.key, one.value] })
    ann.delete("jobs/grüße")
    equal([nil, nil], [watch.next(PATIENCE_MS).value, bob.get("jobs/grüße")])
    equal([false, true], [entry == nil, entry == entry.dup])
  end
end

test "a watch ends when its member is closed" do
  primer = Primer.open
  changes = primer.watch
  primer.put("one", "1")
  primer.close
  equal(%w[one], changes.map(&:key))
end

test "each call tells what was wrong with it" do
  pair do |ann, bob|
    { 101 => [-> { ann.on("") }, -> { ann.broadcast("", "") }, -> { ann.put("", "") }, -> { ann.evict("nobody") },
              -> { ann.evict(ann.members.find(&:is_self).id) }, -> { Primer.open(secret: "short") }],
      102 => [-> { ann.evict("0" * 31 + "1") }],
      104 => [-> { ann.broadcast("chat", "x" * 65_537) }, -> { ann.put("key", "x" * 65_537) }],
      106 => [-> { ann.rotate(["0123456789abcdef" * 4]) }],
      107 => [lambda do
        Primer.open(cluster: "elsewhere", listen: "127.0.0.1:0", discover: "none") { |else_| else_.join(bob.address) }
      end] }.each do |number, calls|
      calls.each { |call| equal(number, raises(Primer::Error::WrongCall, &call).number) }
    end
    bob.close
    [-> { bob.broadcast("chat", "") }, -> { bob.put("key", "") }, -> { bob.get("key") }, -> { bob.delete("key") },
     -> { bob.list }, -> { bob.reclaim(true) }, -> { bob.on("chat").next(PATIENCE_MS) }].each do |call|
      equal(501, raises(Primer::Error::MemberDown, &call).number)
    end
  end
end

test "an unknown option is told with the nearest one" do
  error = raises(Primer::Error::WrongCall) { Primer.open(tls_certs: "a.pem") }
  equal([101, true], [error.number, error.message.include?("tls_cert")])
end

test "an unknown on_short is told with the known ones" do
  Primer.open do |primer|
    error = raises(ArgumentError) { primer.queue("jobs").enqueue("one", on_short: :perhaps) }
    equal(true, error.message.include?("degrade, fail, wait"))
  end
end

test "a forked child is told, may open a member of its own, and does not close its parent's" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    jobs.enqueue("one")
    held = jobs.receive
    chat = primer.on("chat")
    child = fork do
      calls = [-> { primer.members }, -> { jobs.receive }, -> { held.ack }, -> { chat.next }, -> { primer.get("key") }]
      chat.close
      numbers = calls.map do |call|
        raises(Primer::Error) { call.call }.number
      end
      primer.close
      numbers << Primer.open { |own| own.queue("jobs").enqueue("two").copies }
      exit!(numbers == [501] * 5 + [1] ? 0 : 1)
    end
    equal(0, Process.wait2(child).last.exitstatus)
    primer.broadcast("chat", "still here")
    equal("still here", chat.next(PATIENCE_MS).body)
    held.ack
    equal(nil, jobs.receive)
  end
end

test "each group gets each message once, and a consumer's group is created" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    jobs.enqueue("before")
    equal(nil, jobs.receive(group: :new))
    jobs.create_group(:old, backlog: true)
    equal("before", jobs.receive(group: "old", wait_ms: PATIENCE_MS).settle(&:body))
    jobs.subscribe(group: :older, backlog: true, credit: 1) do |older|
      equal("before", older.next(PATIENCE_MS).settle(&:body))
    end
    jobs.enqueue("after", if_no_group: :refuse)
    equal(%w[new old older], jobs.groups)
    equal([["after"]] * 3, jobs.groups.map { |group| jobs.receive_many(9, group: group).each(&:ack).map(&:body) })
    jobs.groups.each { |group| jobs.remove_group(group) }
    equal([], jobs.groups)
  end
end

test "a queue is told what holds, paused and purged, by itself or by its name's beginning" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    jobs.configure(messages_max: 1, overflow: :refuse, dead_letters: "morgue", max_attempts: nil)
    equal({ "dead_letters" => "morgue", "messages_max" => "1", "overflow" => "refuse" }, jobs.configuration.sort.to_h)
    jobs.enqueue("one")
    equal(201, raises(Primer::Error::NotNow) { jobs.enqueue("two") }.number)
    jobs.pause
    equal(204, raises(Primer::Error::NotNow) { jobs.enqueue("two") }.number)
    equal(nil, jobs.receive)
    jobs.resume
    one = jobs.receive
    jobs.purge
    equal(402, raises(Primer::Error::TooLate) { one.ack }.number)
    primer.set_policy("jo", { lease_ms: 5 })
    equal({ "jo" => { "lease_ms" => "5" } }, primer.policies)
    jobs.configure(messages_max: nil, overflow: nil, dead_letters: nil)
    equal({ "lease_ms" => "5" }, jobs.configuration)
    primer.remove_policy("jo")
    equal({}, primer.policies)
    equal(101, raises(Primer::Error::WrongCall) { jobs.configure(copys: 1) }.number)
  end
end

test "a producer says what becomes of a message without a group" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    equal([0, 0], jobs.enqueue("x", if_no_group: :drop).then { |receipt| [receipt.copies, receipt.wanted] })
    equal(102, raises(Primer::Error::WrongCall) { jobs.enqueue("x", if_no_group: "refuse") }.number)
    raises(ArgumentError) { jobs.enqueue("x", if_no_group: :perhaps) }
    raises(ArgumentError) { jobs.enqueue("x", on_short: :perhaps) }
    [-> { jobs.create_group("") }, -> { jobs.receive(group: "") }, -> { jobs.subscribe(group: "q" * 256) }].each do |call|
      equal(101, raises(Primer::Error::WrongCall, &call).number)
    end
    equal([], jobs.groups)
    equal(nil, jobs.receive)
    jobs.enqueue("held", if_no_group: :hold)
    equal("held", jobs.receive.settle(&:body))
  end
end

test "a program ends cleanly with members open and threads waiting" do
  output = program(<<~RUBY)
    primer = Primer.open(cluster: "exit")
    waiters = Array.new(4) { |index| Thread.new { primer.queue("q\#{index}").receive(wait_ms: 600_000) } }
    Thread.pass until waiters.all? { |waiter| waiter.status == "sleep" }
    primer.queue("jobs").enqueue("left")
    KEPT = primer.queue("jobs").receive
    puts "end"
  RUBY
  equal("end\n", output)
end

# The loop that README.md calls a worker.
test "a worker's loop that rescues goes on after a job that failed" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    jobs.configure(backoff_ms: 1)
    jobs.enqueue_many(%w[fails rejected good])
    failures = []
    done = []
    jobs.subscribe(max_run_ms: 300_000) do |subscription|
      subscription.each do |delivery|
        delivery.settle do
          body = delivery.body
          raise KeyError, body if body == "fails" && delivery.attempts == 1
          raise Primer::Reject, body if body == "rejected"

          done << body
        end
        subscription.close if done.size == 2
      rescue StandardError => e
        failures << e.message
      end
    end
    equal([%w[fails rejected], %w[fails good]], [failures.sort, done.sort])
    equal("rejected", primer.queue("jobs.dead").receive(wait_ms: PATIENCE_MS).settle(&:body))
  end
end

test "what a settle's block answers is the reply of whoever called" do
  Primer.open do |primer|
    sums = primer.queue("sums")
    sums.subscribe do |subscription|
      Thread.new { subscription.each { |delivery| delivery.settle { |it| (it.body.to_i * 2).to_s } } }
      equal(%w[2 4 6], [1, 2, 3].map { |number| sums.call(number.to_s, timeout_ms: PATIENCE_MS).body })
      sums.enqueue("7")
      equal("16", sums.call("8", timeout_ms: PATIENCE_MS, headers: { "of" => "sums" }).body)
    end
    equal(302, raises(Primer::Error::InDoubt) { sums.call("9", timeout_ms: 50) }.number)
    raises(Timeout::Error) { Timeout.timeout(0.05) { sums.call("10") } }
    equal(0, primer.stats["calls"])
  end
end

test "a page is enumerable, and all pages are read one after the other" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    ids = jobs.enqueue_many(%w[one two three], headers: { "kind" => "x" }).map(&:id)
    page = jobs.browse(max: 2, states: [:ready], headers: { kind: "x" })
    equal(ids.first(2), page.map(&:id))
    equal([:ready, "one", [%w[kind x]], nil], [page.first.state, page.first.body, page.first.headers, page.first.group])
    equal([2, 1], jobs.browse_all(max: 2).map(&:count))
    equal([], jobs.browse(group: :nobody).to_a)
    raises(ArgumentError) { jobs.browse(states: [:lost]) }
    equal(0, primer.stats["delivered"])
  end
end

test "letters go back and are counted" do
  Primer.open do |primer|
    jobs, dead = primer.queue("jobs"), primer.queue("jobs.dead")
    jobs.enqueue_many(%w[one two], headers: { "kind" => "x" })
    2.times { jobs.receive(wait_ms: 20_000).reject("as told") }
    dry = dead.redrive(headers: { "primer-cause" => "rejected" }, dry_run: true)
    equal([2, 0, 0, 0, 0, []], [dry.matched, dry.moved, dry.refused, dry.skipped, dry.leased, dry.missing])
    told = dead.redrive(ids: [dead.browse.first.id])
    equal([1, 1], [told.matched, told.moved])
    equal(1, dead.redrive(to: :other, max: 5, timeout_ms: 5_000).moved)
    back, moved = jobs.receive, primer.queue("other").receive
    equal(["one", 1, [%w[kind x]]], [back.body, back.attempts, back.headers])
    equal(["two", [%w[kind x]]], [moved.body, moved.headers])
    equal(101, raises(Primer::Error::WrongCall) { dead.redrive(ids: ["no id"]) }.number)
    equal(101, raises(Primer::Error::WrongCall) { dead.redrive(to: "jobs.dead") }.number)
  end
end

test "a diagnosis is enumerable and says what is the matter" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    me = primer.members.first.id
    equal([:empty], jobs.doctor.map(&:code))
    jobs.enqueue_many(%w[one two])
    taken = jobs.receive(wait_ms: 20_000)
    jobs.pause(:in)
    told = jobs.doctor
    equal([[:no_consumer, nil, 1, [me]], [:paused_in, nil, 0, [me]]],
          told.map { |one| [one.code, one.group, one.messages, one.members] })
    facts = told.facts.first
    equal([me, 1, 1, 0, [me], "in", nil, nil, false],
          [facts.member, facts.ready, facts.leased, facts.delayed, facts.lessees, facts.paused, facts.paused_by,
           facts.messages_max, facts.is_full])
    taken.ack
  end
end

test "an explanation is enumerable and says what a message is" do
  id = nil
  closed = Primer.open do |primer|
    id = primer.queue("jobs").enqueue("one").id
    me = primer.members.first.id
    told = primer.explain(id)
    equal([[me, :ready, id, "jobs", nil, me, [me]]],
          told.map { |one| [one.member, one.known, one.id, one.queue, one.group, one.owner, one.holders] })
    equal([[], nil, nil], [told.missing, told.first.lease_ms, told.first.expires_ms])
    ["no id", ""].each { |wrong| equal(101, raises(Primer::Error::WrongCall) { primer.explain(wrong) }.number) }
    primer
  end
  equal(501, raises(Primer::Error::MemberDown) { closed.explain(id) }.number)
end

test "calls leave no descriptors behind" do
  Primer.open do |primer|
    jobs = primer.queue("jobs")
    count = -> { Dir.children("/proc/self/fd").size }
    before = count.call
    200.times { jobs.enqueue("one") && jobs.receive.ack }
    equal(before, count.call)
  end if File.directory?("/proc/self/fd")
end

failures = TESTS.count do |name, block|
  block.call
  puts "idioms: ok #{name}"
  false
rescue StandardError => e
  puts "idioms: FAILED #{name}: #{e.full_message(highlight: false)}"
  true
end
puts "idioms: #{TESTS.size - failures} passed, #{failures} failed"
exit failures.zero?
