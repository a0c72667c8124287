# frozen_string_literal: true

# Two members, one queue: what one puts in, the other takes out.
#
#   ruby -I build/uniffi/ruby examples/ruby/hello.rb

require "primer"

Primer.open(cluster: "hello") do |ann|
  Primer.open(cluster: "hello", seeds: [ann.address]) do |bob|
    receipt = ann.queue("greetings").enqueue("hello from ann", copies: 2)
    puts "enqueued #{receipt.id}: #{receipt.copies} of #{receipt.wanted} copies"

    bob.queue("greetings").receive(wait_ms: 10_000).settle do |delivery|
      puts "bob received \"#{delivery.body}\" (attempt #{delivery.attempts})"
    end
  end
end
