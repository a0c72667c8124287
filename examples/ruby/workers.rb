# frozen_string_literal: true

# Work for several members: each pulls under its own credit; what fails is tried again, and what takes
# longer than its lease stays with its worker, for up to five minutes.
#
#   ruby -I build/uniffi/ruby examples/ruby/workers.rb

require "primer"

NUMBERS = (1..30).to_a

# One worker: squares numbers until its subscription is closed. Every seventh number fails once.
def work(subscription, results)
  subscription.each do |delivery|
    delivery.settle do
      number = Integer(delivery.body)
      raise "not today" if (number % 7).zero? && delivery.attempts == 1

      results.enqueue("#{number} #{number * number}")
    end
  rescue RuntimeError => e
    puts "#{delivery.id} failed: #{e.message}; it will be tried again"
  end
end

Primer.open(cluster: "workers") do |boss|
  workers = Array.new(3) { Primer.open(cluster: "workers", seeds: [boss.address]) }
  subscriptions = workers.map { |worker| worker.queue("numbers").subscribe(credit: 4, max_run_ms: 300_000) }
  threads = workers.zip(subscriptions).map do |worker, subscription|
    Thread.new { work(subscription, worker.queue("squares")) }
  end

  boss.queue("numbers").enqueue_many(NUMBERS.map(&:to_s), copies: 2)
  squares = {}
  while squares.size < NUMBERS.size
    boss.queue("squares").receive(wait_ms: 10_000)&.settle do |delivery|
      number, square = delivery.body.split.map(&:to_i)
      squares[number] = square
    end
  end

  subscriptions.each(&:close)
  threads.each(&:join)
  workers.each(&:close)
  puts "#{squares.size} squares, their sum is #{squares.values.sum}"
end
