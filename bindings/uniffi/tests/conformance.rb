# frozen_string_literal: true

# The Ruby runner: every scenario of tests/conformance on real members.
#
#   ruby -I build/uniffi/ruby bindings/uniffi/tests/conformance.rb [FILE...]

require_relative "world"

FOLDER = File.expand_path("../../../tests/conformance/scenarios", __dir__)

# Runs one file. Answers nil, or the file and line of the first step that differs, and how.
def run(path)
  name = File.basename(path)
  world = World.new
  Scenario.parse(name, File.binread(path)).each do |step|
    world.step(step)
  rescue World::Differs, Primer::InternalError, KeyError => e
    return "#{name}:#{step.line}: #{e.message}"
  end
  nil
rescue ArgumentError => e
  e.message
ensure
  world&.close
end

files = ARGV.empty? ? Dir[File.join(FOLDER, "*.scn")].sort : ARGV
abort "no scenario in #{FOLDER}" if files.empty?

failures = files.filter_map do |path|
  run(path).tap { |failure| puts "ruby: #{failure ? "FAILED #{failure}" : "ok #{File.basename(path)}"}" }
end
puts "ruby: #{files.size - failures.size} passed, #{failures.size} failed"
exit failures.empty?
