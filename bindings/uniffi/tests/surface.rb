# frozen_string_literal: true

# Holds the Ruby, Kotlin and Swift faces to the table (tests/conformance/surface.toml): each verb,
# each option, each field of a value, each hundred of errors, under the name that is computed for it.
#
#   ruby -I build/uniffi/ruby bindings/uniffi/tests/surface.rb build/uniffi

require "primer"

ROOT = File.expand_path("../../..", __dir__)
OUT = ARGV.fetch(0)

# The rows of the table: [kind, { key => value }].
def rows
  File.readlines(File.join(ROOT, "tests/conformance/surface.toml"), chomp: true).each_with_object([]) do |line, all|
    case line
    when /\A\[\[(\w+)\]\]/ then all << [Regexp.last_match(1), {}]
    when /\A(\w+) = (.*)/ then all.last[1][Regexp.last_match(1)] = Regexp.last_match(2).delete_prefix('"').delete_suffix('"')
    end
  end
end

# [on, name] of everything that a face must have.
def wanted
  rows.flat_map do |kind, row|
    next [] if row["absent"]&.include?("uniffi")

    case kind
    when "verb" then [[row["on"], row["name"]]]
    # `open` takes pairs of text, so its options have no names here.
    when "option" then %w[Options QueueOptions].include?(row["of"]) ? [] : [[row["of"], row["name"]]]
    when "value" then row["fields"].scan(/(\w+):/).map { |field,| [row["name"], field] }
    else []
    end
  end
end

# "Primer.close" => "shutdown", as uniffi.toml says for Kotlin.
def renamed
  text = File.read(File.join(ROOT, "bindings/uniffi/uniffi.toml"))
  text[/^\[bindings\.kotlin\.rename\]\n(.*?)(^\[|\z)/m, 1].scan(/^"(\w+\.\w+)" = "(\w+)"/).to_h
end

def camel(name)
  name.gsub(/_(\w)/) { Regexp.last_match(1).upcase }
end

# The generated text of one class or record: from its head to its converter, which stands behind it.
def body(source, head, on)
  source[/^#{head} #{on}\b.*?FfiConverterType#{on}\b/m] || ""
end

kotlin = File.read(File.join(OUT, "kotlin/primer/primer.kt"))
swift = File.read(File.join(OUT, "swift/Primer.swift"))
missing = wanted.flat_map do |on, name|
  type = Primer.const_get(on)
  in_kotlin = camel(renamed.fetch("#{on}.#{name}", name))
  kotlin_body = body(kotlin, "(?:open|data) class", on)
  swift_body = body(swift, "(?:open class|public struct)", on)
  [
    ("ruby #{on}.#{name}" unless type.method_defined?(name) || type.singleton_class.method_defined?(name)),
    ("kotlin #{on}.#{in_kotlin}" unless kotlin_body.match?(/(fun|va[lr]) `#{in_kotlin}`/)),
    ("swift #{on}.#{camel(name)}" unless swift_body.match?(/(func|var|let) `?#{camel(name)}\b/))
  ].compact
end

hundreds = rows.filter_map { |kind, row| row["hundred"] if kind == "error" }.uniq
missing += hundreds.flat_map do |hundred|
  [
    ("ruby #{hundred}" unless Primer::Error.const_defined?(hundred)),
    ("kotlin #{hundred}" unless kotlin.match?(/class #{hundred}\(/)),
    ("swift #{hundred}" unless swift.match?(/case #{hundred}\(/))
  ].compact
end

missing.each { |name| puts "surface: FAILED #{name} is missing" }
count = 3 * (wanted.size + hundreds.size)
abort "the table is empty" if wanted.empty? || hundreds.empty?
puts "surface: #{count - missing.size} passed, #{missing.size} failed"
exit missing.empty?
