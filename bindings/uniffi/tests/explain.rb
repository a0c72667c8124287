# frozen_string_literal: true

# The steps that ask what every member knows of a message, and why nothing is delivered. Part of World.
module Explain
  private

  # Waits until just these accounts are given.
  def do_explain(step)
    word = step.args[1]
    id = word.is_text ? word.text : @messages.fetch(word.text)
    ends = now_ms + World::PATIENCE_MS
    until told?(step, told = member(step).explain(id))
      return :done if step.expect.dig(0, 0)&.plain?("error")

      differ("these accounts", told.inspect) if now_ms > ends
      sleep 0.01
    end
    :compared
  end

  # Waits until just these findings are given.
  def do_doctor(step)
    ends = now_ms + World::PATIENCE_MS
    until found?(step, told = queue(step).doctor)
      return :done if step.expect.dig(0, 0)&.plain?("error")

      differ("these findings", told.inspect) if now_ms > ends
      sleep 0.01
    end
    :compared
  end

  def found?(step, told)
    return false if step.expect.dig(0, 0)&.plain?("error")

    told.missing.size == (step.number("missing") || 0) && told.findings.size == step.expect.size &&
      told.zip(step.expect).all? { |finding, words| words.all? { |word| finding?(finding, word) } }
  end

  def finding?(finding, word)
    return finding.code.to_s == word.text unless word.key

    value = finding.public_send(word.key)
    (word.key == "members" ? value.size : value).to_s == word.text
  end

  def told?(step, told)
    return false if step.expect.dig(0, 0)&.plain?("error")

    wanted = step.expect.map { |member, *words| [id_of(member.text), words] }.sort_by(&:first)
    told.missing.size == (step.number("missing") || 0) && told.map(&:member) == wanted.map(&:first) &&
      told.zip(wanted).all? { |account, (_, words)| words.all? { |word| so?(account, word) } }
  end

  def so?(account, word)
    case word.key
    when nil then known?(account, word.text)
    when "owner", "lessee" then account.public_send(word.key) == id_of(word.text)
    when "holders" then account.holders.size == Integer(word.text, 10)
    else account.public_send(word.key).to_s == word.text
    end
  end

  def known?(account, wanted)
    dated = [account.lease_ms, account.ready_at_ms].map { |date| !date.nil? }
    return false if dated != [account.known == :leased, account.known == :delayed]

    wanted == "done" ? %i[acked forgotten].include?(account.known) : account.known.to_s == wanted
  end
end
