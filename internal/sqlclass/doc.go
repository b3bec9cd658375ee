// Package sqlclass tells from the text of a statement what it may do to its
// session and whether it certainly only reads.
//
// It is a lexer with keyword recognition, not a parser: it reads the text once,
// allocates nothing for ordinary statements and knows comments, executable
// comments, the three kinds of quotes, user and system variables. Where the text
// leaves a doubt, an effect is reported and a statement is not called read-only:
// a false effect costs a session its mobility, a missed one loses its state.
//
// What no text can show: what stored procedures, stored functions, triggers and
// views do. Calls of procedures and of prepared statements carry [Opaque],
// functions that are not part of the server carry [UnknownFunction]; triggers and
// views are invisible.
package sqlclass
