// Package compose holds the files of deploy/ against the programs that will read them: the Compose file against the
// library of Compose and the settings of the services, the one of Prometheus against its library, and the others against
// each other. No container engine is needed.
//
// It must not start anything of what the files describe.
package compose
