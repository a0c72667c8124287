// Steps about what everyone hears: topics, keys, and who may be a member.
package primer.conformance

import primer.*

/** The readers of one scenario. [member] answers the member of that name. */
class Gossip(private val member: (String) -> Primer) {
    private val topics = mutableMapOf<String, Topic>()
    private val watches = mutableMapOf<String, Watch>()

    /** Does one such step. Throws [Differs]. */
    suspend fun run(step: Step): Any = when (step.verb) {
        "broadcast" -> done { primer(step).broadcast(step.name(1), step.args[2].value) }
        "on" -> primer(step).on(step.name(1)).let { topics[step.wanted.first()] = it; step.wanted.first() }
        "heard" -> done { heard(step) }
        "put" -> done { primer(step).put(step.name(1), step.args[2].value) }
        "delete" -> done { primer(step).delete(step.name(1)) }
        "get" -> awaited(step, listOf(shown(value(step.expect[0][0])))) { listOf(shown(primer(step).get(step.name(1)))) }
        "list" -> awaited(step, listed(step)) { primer(step).list(step.name(1)).map { it.key + " " + shown(it.value) } }
        "watch" -> primer(step).watch(step.name(1)).let { watches[step.wanted.first()] = it; step.wanted.first() }
        "changed" -> done { changed(step) }
        "unlisten" -> done { topics[step.name(0)]?.shutdown() ?: watches.getValue(step.name(0)).shutdown() }
        "evict" -> done { primer(step).evict(idOf(step.name(1))) }
        "reclaim" -> primer(step).reclaim(step.option("keep") == "true").toString()
        "rotate" -> done { primer(step).rotate(step.name(1).split(',')) }
        else -> throw Differs("this runner does not know `${step.verb}`")
    }

    private suspend fun heard(step: Step) {
        val heard = topics.getValue(step.name(0)).next(PATIENCE_MS.toULong()) ?: throw Differs("it heard nothing")
        val wanted = step.args.getOrNull(1)?.value
        if (!heard.body.contentEquals(wanted)) throw Differs("wanted ${shown(wanted)}, heard ${shown(heard.body)}")
        val from = step.option("from") ?: return
        if (heard.from != idOf(from)) throw Differs("it heard that from ${heard.from}")
    }

    /** Other changes are skipped. */
    private suspend fun changed(step: Step) {
        val ends = nowMs() + PATIENCE_MS
        while (nowMs() < ends) {
            val left = (ends - nowMs()).coerceAtLeast(0)
            val change = watches.getValue(step.name(0)).next(left.toULong()) ?: continue
            if (change.key == step.name(1) && change.value.contentEquals(value(step.args[2]))) return
        }
        throw Differs("no such change within $PATIENCE_MS ms")
    }

    private fun listed(step: Step): List<String> {
        if (step.wanted == listOf("empty") && !step.expect[0][0].isText) return emptyList()
        return step.expect.map { (key, value) -> key.text + " " + shown(value.value) }
    }

    /** A text, or the word `none`. */
    private fun value(word: Word): ByteArray? = word.value.takeUnless { word.isPlain("none") }

    // Every byte tells: as a letter of Latin-1.
    private fun shown(value: ByteArray?) = if (value == null) "none" else "\"" + String(value, Charsets.ISO_8859_1) + "\""

    private fun primer(step: Step) = member(step.name(0))
    private fun idOf(name: String) = member(name).members().first { it.isSelf }.id
}
