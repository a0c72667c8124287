// The Kotlin runner: every scenario on real members. Arguments: the scenario files.
package primer.conformance

import java.io.File
import kotlin.system.exitProcess
import kotlinx.coroutines.runBlocking

/** Runs one file. Answers null, or the file and line of the first step that differs, and how. */
private suspend fun run(file: File): String? {
    val world = World()
    try {
        for (step in parse(file.name, file.readBytes())) try {
            world.step(step)
        } catch (differs: Exception) {
            return "${file.name}:${step.line}: ${differs.message ?: differs}"
        }
        return null
    } catch (wrong: IllegalArgumentException) {
        return wrong.message
    } finally {
        world.close()
    }
}

fun main(arguments: Array<String>) {
    require(arguments.isNotEmpty()) { "no scenario" }
    val failures = arguments.count { path ->
        val failure = runBlocking { run(File(path)) }
        println("kotlin: " + if (failure == null) "ok ${File(path).name}" else "FAILED $failure")
        failure != null
    }
    println("kotlin: ${arguments.size - failures} passed, $failures failed")
    exitProcess(if (failures == 0) 0 else 1)
}
