# frozen_string_literal: true

# Steps about what everyone hears: topics, keys, and who may be a member. Part of World.
module Gossip
  private

  def do_broadcast(step)
    member(step).broadcast(step.name(1), step.args[2].value)
    :done
  end

  def do_on(step)
    bind_reader(step, member(step).on(step.name(1)))
  end

  def do_watch(step)
    bind_reader(step, member(step).watch(step.name(1)))
  end

  def do_unlisten(step)
    reader(step).close
    :done
  end

  def do_heard(step)
    heard = reader(step).next(World::PATIENCE_MS) or raise World::Differs, "it heard nothing"
    differ(shown(step.args[1]&.value), shown(heard.body)) if heard.body != step.args[1]&.value
    from = step.option("from")
    differ("it from #{from.text}", heard.from) if from && heard.from != id_of(from.text)
    :done
  end

  # Other changes are skipped.
  def do_changed(step)
    wanted = Primer::Change.new(key: step.args[1]&.text, value: value(step.args[2]))
    ends = now_ms + World::PATIENCE_MS
    while (left = ends - now_ms).positive?
      return :done if reader(step).next(left) == wanted
    end
    raise World::Differs, "no such change within #{World::PATIENCE_MS} ms"
  end

  def do_put(step)
    member(step).put(step.name(1), step.args[2].value)
    :done
  end

  def do_delete(step)
    member(step).delete(step.name(1))
    :done
  end

  def do_get(step)
    until_equal(step, value(step.expect.dig(0, 0))) { member(step).get(step.name(1)) }
  end

  def do_list(step)
    is_empty = step.expect.size == 1 && step.expect.first.first.plain?("empty")
    wanted = is_empty ? [] : step.expect.map { |key, word| [key.text, word&.value] }
    until_equal(step, wanted) { member(step).list(step.name(1)).map { |entry| [entry.key, entry.value] } }
  end

  def do_evict(step)
    member(step).evict(id_of(step.name(1)))
    :done
  end

  def do_reclaim(step)
    member(step).reclaim(step.option("keep")&.text == "true").to_s
  end

  def do_rotate(step)
    member(step).rotate(step.name(1).split(","))
    :done
  end

  # A text, or the word `none`: nil.
  def value(word)
    word&.plain?("none") ? nil : word&.value
  end

  def shown(body)
    body && "#{body[0, 40].inspect} (#{body.bytesize} bytes)"
  end

  # Asks until it is what the step wants.
  def until_equal(step, wanted)
    is_error = step.expect.dig(0, 0)&.plain?("error")
    ends = now_ms + World::PATIENCE_MS
    until (given = yield) == wanted
      return :done if is_error

      differ(shown(wanted.inspect), shown(given.inspect)) if now_ms > ends
      sleep 0.01
    end
    :compared
  end

  def bind_reader(step, reader)
    bound = step.expect.dig(0, 0) or raise World::Differs, "no name to bind"
    @readers[bound.text] = reader
    bound.text
  end

  def reader(step)
    @readers.fetch(step.name(0)) { |name| raise World::Differs, "there is no reader `#{name}`" }
  end

  def id_of(name)
    @members.fetch(name).first.members.find(&:is_self).id
  end
end
