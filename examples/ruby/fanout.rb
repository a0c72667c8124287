# frozen_string_literal: true

# Two members, one topic: what one tells, everyone who listens hears, at once and only then.
#
#   ruby -I build/uniffi/ruby examples/ruby/fanout.rb

require "primer"

Primer.open(cluster: "fanout") do |ann|
  Primer.open(cluster: "fanout", seeds: [ann.address]) do |bob|
    events = ann.events
    events.next(10_000) until ann.members.count(&:is_reachable) == 2

    readers = { "ann" => ann.on("news"), "bob" => bob.on("news"), "bob again" => bob.on("news") }
    ann.broadcast("news", "tea is ready")
    readers.each { |name, reader| puts "#{name} heard: #{reader.first.body}" }
  end
end
