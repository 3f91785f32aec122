// Package kubeletclient drives a running Catamaran as the kubelet does: through the kubelet's own
// client library, with the messages it builds for a pod and in its order. See run.sh.
package kubeletclient

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	internalapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-client/pkg"
)

// The kubelet's --runtime-request-timeout.
const requestTimeout = 2 * time.Minute

// How long something that must happen is waited for; a busy machine is no failure.
const patience = 90 * time.Second

// Every test that makes pods runs on each of these.
var handlers = []string{"ns", "vm"}

// What run_in_world tells, and the kubelet's two connections.
var (
	endpoint   = os.Getenv("CATAMARAN_ENDPOINT")
	imageName  = os.Getenv("CATAMARAN_IMAGE")
	logsRoot   = os.Getenv("CATAMARAN_LOGS")
	cgroupRoot = os.Getenv("CATAMARAN_CGROUP_ROOT")
	daemonPID  = os.Getenv("CATAMARAN_DAEMON_PID")

	runtime internalapi.RuntimeService
	images  internalapi.ImageManagerService
)

func connect(ctx context.Context, streamingLists bool) (internalapi.RuntimeService, internalapi.ImageManagerService, error) {
	r, err := cri.NewRemoteRuntimeServiceBuilder().WithEndpoint(endpoint).
		WithConnectionTimeout(requestTimeout).WithUseStreaming(streamingLists).Build(ctx)
	if err != nil {
		return nil, nil, err
	}
	i, err := cri.NewRemoteImageServiceBuilder().WithEndpoint(endpoint).
		WithConnectionTimeout(requestTimeout).WithUseStreaming(streamingLists).Build(ctx)
	return r, i, err
}

func TestMain(m *testing.M) {
	if endpoint == "" || imageName == "" || logsRoot == "" || cgroupRoot == "" || daemonPID == "" {
		fmt.Fprintln(os.Stderr, "no daemon to talk to: start this by run.sh")
		os.Exit(2)
	}
	var err error
	if runtime, images, err = connect(context.Background(), false); err != nil {
		fmt.Fprintln(os.Stderr, "connect to", endpoint, ":", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func onEveryHandler(t *testing.T, test func(t *testing.T, handler string)) {
	for _, handler := range handlers {
		t.Run(handler, func(t *testing.T) { test(t, handler) })
	}
}

// waitFor fails the test unless the condition holds within the patience.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting after %s: %s", patience, what)
		}
	}
}

// must passes a call's answer on, or ends the test where there is none.
func must[T any](t *testing.T, what string) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return value
	}
}

func succeed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
