// Package e2e tries Stepwell from outside: apps written with unmodified Inngest SDKs run against a server, and the tests
// compare what the server tells with what the apps saw.
//
// It must not import anything of the server. A scenario is written once and holds for every kind of server and every app;
// what an SDK cannot do is said, with the reason, in package sdkapp.
package e2e
