package kubeletclient

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-client/pkg"
	utilexec "k8s.io/utils/exec"
)

// How the kubelet's exec probes tell success, failure and a probe that took too long.
func TestExecSyncAnswersAsProbesNeedIt(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		ctx := context.Background()
		p := runPod(t, handler)
		id := p.start("main", sleeper)

		out, errout, err := runtime.ExecSync(ctx, id, []string{"/bin/sh", "-c", "echo out; echo err >&2"}, time.Minute)
		succeed(t, "ExecSync", err)
		equal(t, "stdout", string(out), "out\n")
		equal(t, "stderr", string(errout), "err\n")

		_, _, err = runtime.ExecSync(ctx, id, []string{"/bin/sh", "-c", "echo why >&2; exit 7"}, time.Minute)
		var exit utilexec.ExitError
		if !errors.As(err, &exit) || !exit.Exited() || exit.ExitStatus() != 7 {
			t.Errorf("a failing command: %v", err)
		} else if !strings.Contains(err.Error(), "why") {
			t.Errorf("what it said is lost: %v", err)
		}

		_, _, err = runtime.ExecSync(ctx, id, []string{"/bin/sleep", "4321"}, time.Second)
		if !errors.Is(err, cri.ErrCommandTimedOut) {
			t.Errorf("a command that takes too long: %v", err)
		}
		if processes := p.exec(id, "ps"); strings.Contains(processes, "sleep 4321") {
			t.Errorf("the command that took too long goes on:\n%s", processes)
		}

		if _, _, err = runtime.ExecSync(ctx, id, []string{"/no/such/program"}, time.Minute); err == nil {
			t.Error("a program that is not there succeeds")
		}
		big := p.exec(id, "/bin/sh", "-c", "yes 0123456789abcde | head -c 4000000")
		equal(t, "length of a long answer", len(big), 4000000)
	})
}
