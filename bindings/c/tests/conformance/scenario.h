/* The scenario language (tests/conformance/README.md), read into steps: an imitation of the Rust parser,
 * which it is held to by printing what it read (`--print`). It knows words and lines, not what a step
 * means. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One word: `name`, `"text"`, `bytes:8`, or `key=` any of these. */
typedef struct {
    char *key;      /* before the first `=` outside quotes; NULL when there is none */
    uint8_t *value; /* quotes, escapes and `bytes:N` resolved; a NUL stands behind it */
    size_t len;
    bool is_text; /* written in quotes or as `bytes:N` or `name:N` */
} word_t;

typedef struct {
    word_t *at;
    size_t count;
} words_t;

/* One line: `verb argument... key=value... -> expectation`. */
typedef struct {
    unsigned line; /* from 1 */
    char *verb;
    words_t args;    /* without a key */
    words_t options; /* with one */
    words_t *expect; /* behind `->`, cut at commas */
    size_t expect_count;
} step_t;

typedef struct {
    step_t *steps;
    size_t count;
} scenario_t;

/* Reads a text. False, with what is wrong in `told` ("12: what"), when a line cannot be read. */
bool scenario_parse(const char *text, size_t len, scenario_t *scenario, char *told, size_t told_len);
void scenario_free(scenario_t *scenario);
/* Prints as `cargo run -p primer-conformance` does. */
void scenario_print(const char *name, const scenario_t *scenario, FILE *to);

/* True when the word is exactly this, and not a text. */
bool word_is(const word_t *word, const char *name);
/* The option with that key, or NULL. */
const word_t *option_of(const step_t *step, const char *key);
/* True for `-> word` alone. */
bool expects_only(const step_t *step, const char *name);

#endif
