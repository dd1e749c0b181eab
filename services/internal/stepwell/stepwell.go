// Package stepwell holds the nouns of the domain: events, apps, functions, runs, steps, attempts, waits, items and the
// transitions between them, with their identifiers and sentinel errors.
//
// It must not do I/O, read a clock, draw random numbers, or know how a noun is stored or sent: proto messages are the
// wire form (package wire), SQL rows the disk form (pgstore). The words are those of docs/glossary.md.
package stepwell
