// Package pgsql holds the statements of pgstore, each as a function with typed arguments and rows: what sqlc makes of
// pgstore's migrations and queries.
//
// It must not hold anything else that is written by hand: change the queries, then `make generate`.
package pgsql
