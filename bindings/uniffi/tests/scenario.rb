# frozen_string_literal: true

# The scenario language (tests/conformance/README.md), read into steps as the Rust parser does:
# a slip of the pen is an error with its file and line, never a step that passes unseen.
module Scenario
  # A word of a step: a name, a "text", or key= before either. The value is bytes.
  Word = Struct.new(:key, :value, :is_text) do
    def text
      value.dup.force_encoding(Encoding::UTF_8).scrub
    end

    def plain?(wanted)
      key.nil? && !is_text && value == wanted
    end

    def blank?
      key.nil? && !is_text && value.empty?
    end
  end

  # A line: `verb argument... key=value... -> expectation, expectation`.
  Step = Struct.new(:line, :verb, :args, :options, :expect) do
    def name(index)
      args.fetch(index).text
    end

    def option(key)
      options.find { |word| word.key == key }
    end

    def number(key)
      word = option(key)
      word && Integer(word.text, 10)
    end

    def headers
      options.select { |word| word.key.start_with?("header.") }
             .map { |word| [word.key.delete_prefix("header."), word.text] }
    end
  end

  # verb => least and most arguments, and the keys; one that ends in a dot stands for a family.
  ENQUEUE = %w[copies on_short timeout header. priority delay at ttl max_attempts at_most_once if_no_group key dedup dedup_window].freeze
  IN_GROUP = %w[group backlog].freeze
  SHAPES = {
    "open" => [1, 1, nil], "join" => [2, 2, []], "members" => [1, 1, []], "address" => [1, 1, []],
    "event" => [2, 2, []], "stats" => [2, 2, []],
    "enqueue" => [3, 3, ENQUEUE], "enqueue_many" => [3, 99, ENQUEUE],
    "call" => [3, 3, ENQUEUE], "reply" => [3, 3, %w[header.]], "replied" => [1, 1, []],
    "receive" => [2, 2, %w[max wait lease] + IN_GROUP],
    "browse" => [2, 2, %w[max after group states header. body_bytes timeout cursor missing]],
    "explain" => [2, 2, %w[missing]],
    "doctor" => [2, 2, %w[missing]],
    "redrive" => [2, 2, %w[to max header. ids dry_run timeout missing]],
    "ack" => [2, 2, []], "ack_many" => [2, 99, []], "nack" => [2, 2, %w[delay]],
    "release" => [2, 2, []], "extend" => [2, 2, %w[lease]], "drop" => [2, 2, []],
    "subscribe" => [2, 2, %w[credit credit_bytes lease max_run] + IN_GROUP], "next" => [1, 1, %w[wait]],
    "credit" => [2, 2, []],
    "reject" => [2, 2, %w[reason]],
    "unsubscribe" => [1, 1, []], "leave" => [1, 1, %w[drain force]], "close" => [1, 1, []],
    "broadcast" => [3, 3, []], "on" => [2, 2, []], "heard" => [1, 2, %w[from]], "unlisten" => [1, 1, []],
    "put" => [3, 3, []], "get" => [2, 2, []], "delete" => [2, 2, []], "list" => [2, 2, []],
    "watch" => [2, 2, []], "changed" => [1, 3, []], "evict" => [2, 2, []], "reclaim" => [1, 1, %w[keep]],
    "rotate" => [2, 2, []],
    "create_group" => [3, 3, %w[backlog]], "remove_group" => [3, 3, []], "groups" => [2, 2, []],
    "configure" => [3, 3, []], "configuration" => [2, 2, []], "pause" => [3, 3, []], "resume" => [2, 2, []],
    "purge" => [2, 2, []], "set_policy" => [3, 3, []], "remove_policy" => [2, 2, []], "policies" => [1, 1, []]
  }.freeze

  ESCAPES = { "n" => "\n".b, "\"" => "\"".b, "\\" => "\\".b }.freeze

  class << self
    # The steps of a file's text. Raises with `name:line: what is wrong`.
    def parse(name, text)
      steps = text.b.lines(chomp: true).each_with_index.filter_map do |line, index|
        step(index + 1, line)
      rescue ArgumentError => e
        raise ArgumentError, "#{name}:#{index + 1}: #{e.message}"
      end
      raise ArgumentError, "#{name}:1: no step at all" if steps.empty?

      steps
    end

    private

    def step(line, text)
      verb, *words = cut(text)
      return nil unless verb

      step = Step.new(line, verb.text, [], [], [])
      words.each do |word|
        if word.plain?("->") || word.plain?(",") then step.expect << []
        elsif step.expect.any? then step.expect.last << word
        elsif word.key then step.options << word
        else step.args << word
        end
      end
      check(step)
      step
    end

    def check(step)
      least, most, keys = SHAPES.fetch(step.verb) { raise ArgumentError, "there is no step `#{step.verb}`" }
      unless step.args.size.between?(least, most)
        raise ArgumentError, "`#{step.verb}` takes #{least} to #{most} arguments, not #{step.args.size}"
      end
      raise ArgumentError, "nothing stands behind `->` or a comma" if step.expect.any?(&:empty?)

      keys && step.options.each do |word|
        next if keys.any? { |key| key == word.key || (key.end_with?(".") && word.key.start_with?(key)) }

        raise ArgumentError, "`#{step.verb}` has no key `#{word.key}`"
      end
    end

    # Cuts a line into words at blanks; behind `->` a comma is a word of its own.
    def cut(text)
      words = []
      word = blank
      is_quoted = is_expectation = false
      rest = text.dup
      until rest.empty?
        byte = rest.slice!(0)
        if byte == "\""
          is_quoted = !is_quoted
          word.is_text = true
        elsif is_quoted then word.value << (byte == "\\" ? escape(rest) : byte)
        elsif byte == "#" then break
        elsif [" ", "\t"].include?(byte) then word = finish(words, word)
        elsif byte == "," && is_expectation
          word = finish(words, word)
          words << Word.new(nil, ",".b, false)
        elsif byte == "=" && word.key.nil? && !word.is_text
          word.key = word.text
          word.value = "".b
        else word.value << byte
        end
        is_expectation ||= word.plain?("->")
      end
      raise ArgumentError, "a text has no end" if is_quoted

      finish(words, word)
      words
    end

    def blank
      Word.new(nil, "".b, false)
    end

    # Puts the word behind the others, if there is one, and answers a new one.
    def finish(words, word)
      return word if word.blank?

      if !word.is_text && (match = word.value.match(/\A(bytes|name):(.*)\z/mn))
        letter = match[1] == "bytes" ? "x" : "q"
        raise ArgumentError, "`#{word.text}` has no number" unless match[2].match?(/\A\d+\z/)

        word.value = letter.b * match[2].to_i
        word.is_text = true
      end
      words << word
      blank
    end

    def escape(rest)
      letter = rest.slice!(0)
      return ESCAPES[letter] if ESCAPES.key?(letter)

      digits = rest.slice!(0, 2)
      if letter != "x" || !digits&.match?(/\A\h\h\z/)
        raise ArgumentError, "an escape is one of \\\" \\\\ \\n \\xNN"
      end

      [digits].pack("H2")
    end
  end
end
