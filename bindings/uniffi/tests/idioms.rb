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
    child = fork do
      numbers = [-> { primer.members }, -> { jobs.receive }, -> { held.ack }].map do |call|
        raises(Primer::Error) { call.call }.number
      end
      primer.close
      numbers << Primer.open { |own| own.queue("jobs").enqueue("two").copies }
      exit!(numbers == [501, 501, 501, 1] ? 0 : 1)
    end
    equal(0, Process.wait2(child).last.exitstatus)
    held.ack
    equal(nil, jobs.receive)
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
