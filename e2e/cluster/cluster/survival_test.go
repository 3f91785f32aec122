package cluster

import (
	"fmt"
	"os"
	"testing"

	"catamaran/e2e/cluster/await"
)

// What must not disturb pods that run: the containers are the same, and can be used, resized, stopped.
func TestPodsOutlive(t *testing.T) {
	disturbances := []struct {
		name string
		do   func(*space)
	}{
		{"KubeletRestart", func(s *space) {
			await.Must(s.t, cluster.Kubelet.Stop())
			await.Must(s.t, cluster.Kubelet.Start())
		}},
		{"RuntimeRestart", func(s *space) {
			await.Must(s.t, cluster.Runtime.Stop())
			await.Must(s.t, cluster.Runtime.Start())
		}},
		{"RuntimeKill", func(s *space) {
			cluster.Runtime.Kill()
			await.Must(s.t, cluster.Runtime.Start())
		}},
	}
	for _, disturbance := range disturbances {
		t.Run(disturbance.name, func(t *testing.T) {
			onEveryHandler(t, func(s *space) {
				s.runPod("server", serverPod)
				s.outlives("server", func() { disturbance.do(s) })
			})
		})
	}
}

// A power cut of the node: no pod lives, and all of them are started again, in new sandboxes, with what
// their volumes hold on disk.
func TestPodsComeBackAfterACrashOfTheNode(t *testing.T) {
	if cluster.Runtime.Kind != "catamaran" {
		t.Skip("a crash takes all processes in the runtime's groups, and containerd's shims are in none")
	}
	onEveryHandler(t, func(s *space) {
		s.runPod("kept", `
apiVersion: v1
kind: Pod
metadata: {name: kept}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  volumes: [{name: data, emptyDir: {}}, {name: secret, emptyDir: {medium: Memory}}]
  containers:
  - name: main
    image: $BUSYBOX
    command: [sh, -c, 'echo once more >>/data/index.html; sync; exec httpd -f -p 8080 -h /data']
    volumeMounts: [{name: data, mountPath: /data}, {name: secret, mountPath: /memory}]
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
`)
		s.sh("kept", "touch /memory/forgotten")
		before := s.field("pod/kept", ".status.containerStatuses[0].containerID")
		await.Must(t, cluster.CrashNode())
		await.Must(t, cluster.RestartNode())
		s.kubectl("wait", "--for=condition=Ready", kubectlPatience, "node/node0")
		s.eventually("the container was started again", func() error {
			if now := s.field("pod/kept", ".status.containerStatuses[0].containerID"); now == before || now == "" {
				return fmt.Errorf("%q", now)
			}
			return nil
		})
		s.waitReady("pod/kept")
		s.equal("restarts", s.field("pod/kept", ".status.containerStatuses[0].restartCount"), "1")
		s.equal("in memory", s.sh("kept", "ls /memory"), "")
		s.equal("page", page(s, s.field("pod/kept", ".status.podIP")+":8080"), "once more\nonce more\n")
	})
}

// CATAMARAN_OTHER_PROGRAMS is the folder of another build: pods made by one are taken over by the other.
func TestPodsOutliveAnUpgradeAndTheWayBack(t *testing.T) {
	other := os.Getenv("CATAMARAN_OTHER_PROGRAMS")
	if other == "" {
		t.Skip("there is no other build to change to: set CATAMARAN_OTHER_PROGRAMS to the bin folder of one")
	}
	programs := os.Getenv("CATAMARAN_PROGRAMS")
	onEveryHandler(t, func(s *space) {
		change := func(to string) func() {
			return func() {
				await.Must(s.t, cluster.Runtime.Stop())
				cluster.Runtime.UsePrograms(to)
				await.Must(s.t, cluster.Runtime.Start())
			}
		}
		defer change(programs)()
		s.runPod("server", serverPod)
		s.outlives("server", change(other))
		s.runPod("sized", guaranteedPod) // made by the other build
		s.outlives("server", change(programs))
		s.kubectl("patch", "pod", "sized", "--subresource=resize", "-p", resizeTo("300m", "64Mi"))
		s.hasSize("300m", "64Mi")
		s.kubectl("delete", "pod", "server", "sized", "--wait", kubectlPatience)
	})
}

func (s *space) outlives(pod string, disturb func()) {
	s.t.Helper()
	containers := s.field("pod/"+pod, ".status.containerStatuses[*].containerID")
	address := s.field("pod/"+pod, ".status.podIP")
	disturb()
	s.kubectl("wait", "--for=condition=Ready", kubectlPatience, "node/node0")
	s.eventually("exec works again", func() error {
		if answer := s.try("exec", pod, "--", "echo", "still here"); answer != "still here\n" {
			return fmt.Errorf("%q", answer)
		}
		return nil
	})
	s.waitReady("pod/" + pod)
	s.equal("containers", s.field("pod/"+pod, ".status.containerStatuses[*].containerID"), containers)
	s.equal("address", s.field("pod/"+pod, ".status.podIP"), address)
	s.equal("page", page(s, address+":8080"), "I am "+pod+"\n")
}
