//go:build programs

// Package programs names what is built with `go test -c`, so that `go mod tidy` knows what it needs. The
// programs are go.mod's tools.
package programs

import _ "k8s.io/kubernetes/test/e2e"
