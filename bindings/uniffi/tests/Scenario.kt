// The scenario language (tests/conformance/README.md), read into steps as the Rust parser does.
package primer.conformance

/** A word of a step: a name, a "text", or key= before either. */
class Word(var key: String? = null, var value: ByteArray = ByteArray(0), var isText: Boolean = false) {
    val text get() = value.decodeToString()
    val isBlank get() = key == null && !isText && value.isEmpty()
    fun isPlain(wanted: String) = key == null && !isText && text == wanted
}

/** A line: `verb argument... key=value... -> expectation, expectation`. */
class Step(val line: Int, val verb: String) {
    val args = mutableListOf<Word>()
    val options = mutableListOf<Word>()
    val expect = mutableListOf<MutableList<Word>>()

    fun name(index: Int) = args[index].text
    fun option(key: String) = options.find { it.key == key }?.text
    fun number(key: String) = option(key)?.toULong()

    /** What stands behind `->`, as texts. */
    val wanted get() = expect.flatten().map { it.text }

    /** The number that `-> error N` names. */
    val error get() = expect.firstOrNull()?.takeIf { it.size == 2 && it[0].isPlain("error") }?.get(1)?.text?.toInt()
}

/** How many arguments a step has, and its keys: one that ends in a dot stands for a family, an empty one for any. */
private class Shape(val arguments: IntRange, vararg val keys: String)

private fun shapes(arguments: IntRange, verbs: String) = verbs.split(' ').associateWith { Shape(arguments) }

private val ENQUEUE =
    arrayOf(
        "copies", "on_short", "timeout", "header.", "priority", "delay", "at", "ttl", "max_attempts", "at_most_once", "if_no_group", "key", "dedup", "dedup_window",
    )

private val SHAPES = shapes(1..1, "members address unsubscribe close unlisten replied policies") +
    shapes(2..2, "join event stats ack release drop credit on get delete list watch evict rotate groups " +
        "configuration resume purge remove_policy") +
    shapes(3..3, "broadcast put remove_group configure pause set_policy") +
    mapOf(
        "open" to Shape(1..1, ""),
        "enqueue" to Shape(3..3, *ENQUEUE),
        "enqueue_many" to Shape(3..99, *ENQUEUE),
        "call" to Shape(3..3, *ENQUEUE),
        "reply" to Shape(3..3, "header."),
        "receive" to Shape(2..2, "max", "wait", "lease", "group", "backlog"),
        "browse" to Shape(2..2, "max", "after", "group", "states", "header.", "body_bytes", "timeout", "cursor", "missing"),
        "explain" to Shape(2..2, "missing"),
        "doctor" to Shape(2..2, "missing"),
        "redrive" to Shape(2..2, "to", "max", "header.", "ids", "dry_run", "timeout", "missing"),
        "ack_many" to Shape(2..99),
        "nack" to Shape(2..2, "delay"),
        "extend" to Shape(2..2, "lease"),
        "reject" to Shape(2..2, "reason"),
        "subscribe" to Shape(2..2, "credit", "credit_bytes", "lease", "max_run", "group", "backlog"),
        "create_group" to Shape(3..3, "backlog"),
        "next" to Shape(1..1, "wait"),
        "leave" to Shape(1..1, "drain", "force"),
        "heard" to Shape(1..2, "from"),
        "changed" to Shape(1..3),
        "reclaim" to Shape(1..1, "keep"),
    )

/** Cuts one line; lives as long as the line. */
private class Cutter(private val bytes: ByteArray) {
    private var at = 0
    private val words = mutableListOf<Word>()
    private var word = Word()
    private var value = java.io.ByteArrayOutputStream()

    fun words(): List<Word> {
        var isQuoted = false
        var isExpectation = false
        while (at < bytes.size) {
            val byte = bytes[at++].toInt()
            when {
                byte == '"'.code -> { isQuoted = !isQuoted; word.isText = true }
                isQuoted -> value.write(if (byte == '\\'.code) escape() else byte)
                byte == '#'.code -> break
                byte == ' '.code || byte == '\t'.code -> finish()
                byte == ','.code && isExpectation -> { finish(); words += Word(value = ",".encodeToByteArray()) }
                byte == '='.code && word.key == null && !word.isText -> { word.key = taken().decodeToString() }
                else -> value.write(byte)
            }
            isExpectation = isExpectation || (word.key == null && !word.isText && value.toString() == "->")
        }
        require(!isQuoted) { "a text has no end" }
        finish()
        return words
    }

    private fun taken() = value.toByteArray().also { value.reset() }

    private fun finish() {
        word.value = taken()
        if (!word.isBlank) words += lengthened(word)
        word = Word()
    }

    /** `bytes:N` and `name:N` are N letters. */
    private fun lengthened(word: Word): Word {
        val (kind, count) = word.text.takeIf { !word.isText }?.split(':', limit = 2)?.takeIf { it.size == 2 } ?: return word
        val letter = when (kind) { "bytes" -> 'x'; "name" -> 'q'; else -> return word }
        word.value = ByteArray(requireNotNull(count.toIntOrNull()) { "`${word.text}` has no number" }) { letter.code.toByte() }
        word.isText = true
        return word
    }

    private fun escape(): Int = when (val letter = bytes.getOrNull(at++)?.toInt()?.toChar()) {
        'n' -> '\n'.code
        '"', '\\' -> letter.code
        'x' -> { at += 2; String(bytes, at - 2, 2, Charsets.US_ASCII).toInt(16) }
        else -> throw IllegalArgumentException("an escape is one of \\\" \\\\ \\n \\xNN")
    }
}

/** The steps of a file. Throws with `name:line: what is wrong`. */
fun parse(name: String, text: ByteArray): List<Step> =
    // By bytes, as bodies may be any; a scenario is small.
    String(text, Charsets.ISO_8859_1).lines().mapIndexedNotNull { index, line ->
        try {
            step(index + 1, Cutter(line.toByteArray(Charsets.ISO_8859_1)).words())
        } catch (wrong: RuntimeException) {
            throw IllegalArgumentException("$name:${index + 1}: ${wrong.message}")
        }
    }.also { require(it.isNotEmpty()) { "$name:1: no step at all" } }

private fun step(line: Int, words: List<Word>): Step? {
    val step = Step(line, words.firstOrNull()?.text ?: return null)
    for (word in words.drop(1)) when {
        word.isPlain("->") || word.isPlain(",") -> step.expect += mutableListOf<Word>()
        step.expect.isNotEmpty() -> step.expect.last() += word
        word.key != null -> step.options += word
        else -> step.args += word
    }
    val shape = requireNotNull(SHAPES[step.verb]) { "there is no step `${step.verb}`" }
    require(step.args.size in shape.arguments) { "`${step.verb}` takes ${shape.arguments} arguments, not ${step.args.size}" }
    for (key in step.options.map { it.key!! }) {
        val isKnown = shape.keys.any { it == key || it.isEmpty() || (it.endsWith('.') && key.startsWith(it)) }
        require(isKnown) { "`${step.verb}` has no key `$key`" }
    }
    require(step.expect.none { it.isEmpty() }) { "nothing stands behind `->` or a comma" }
    return step
}
