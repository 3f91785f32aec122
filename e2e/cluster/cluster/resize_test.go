package cluster

import (
	"fmt"
	"strings"
	"testing"
)

const guaranteedPod = `
apiVersion: v1
kind: Pod
metadata: {name: sized}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: $BUSYBOX
    command: [sleep, "3600"]
    resources: {requests: {cpu: 200m, memory: 64Mi}, limits: {cpu: 200m, memory: 64Mi}}
`

func resizeTo(cpu, memory string) string {
	size := fmt.Sprintf(`{"cpu": %q, "memory": %q}`, cpu, memory)
	return fmt.Sprintf(`{"spec": {"containers": [{"name": "main", "resources": {"requests": %[1]s, "limits": %[1]s}}]}}`, size)
}

// hasSize waits until the running container is of this size.
func (s *space) hasSize(cpu, memory string) {
	s.t.Helper()
	s.eventually("the running container has its new size", func() error {
		is := s.field("pod/sized", ".status.containerStatuses[0].resources.limits")
		if !strings.Contains(is, fmt.Sprintf(`"cpu":%q`, cpu)) || !strings.Contains(is, fmt.Sprintf(`"memory":%q`, memory)) {
			return fmt.Errorf("%s; %s", is, s.field("pod/sized", ".status.conditions"))
		}
		return nil
	})
}

// A machine has the memory that it was started with: what is more is refused by name, and the pod goes
// on as it is. CPU time is the host's to give on both hulls.
func TestResizeInPlace(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("sized", guaranteedPod)
		container := s.field("pod/sized", ".status.containerStatuses[0].containerID")
		memory := "96Mi"
		if s.handler == "vm" {
			s.kubectl("patch", "pod", "sized", "--subresource=resize", "-p", resizeTo("200m", "512Mi"))
			s.eventually("the pod says why it cannot have more memory", func() error {
				condition := s.field("pod/sized", `.status.conditions[?(@.type=="PodResizeInProgress")].message`)
				if !strings.Contains(condition, "cannot grow") {
					return fmt.Errorf("%q", condition)
				}
				return nil
			})
			memory = "64Mi"
		}
		s.kubectl("patch", "pod", "sized", "--subresource=resize", "-p", resizeTo("300m", memory))
		s.hasSize("300m", memory)
		s.equal("container", s.field("pod/sized", ".status.containerStatuses[0].containerID"), container)
		s.equal("restarts", s.field("pod/sized", ".status.containerStatuses[0].restartCount"), "0")
		if s.handler == "ns" {
			limit := s.sh("sized", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null | head -n 1")
			s.equal("limit that the container sees", limit, fmt.Sprintln(96<<20))
		}
	})
}

// A pod that writes more to its emptyDir than it may is evicted by the kubelet, which measures it.
func TestEviction(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.apply(`
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  volumes: [{name: data, emptyDir: {sizeLimit: 4Mi}}]
  containers:
  - name: main
    image: $BUSYBOX
    command: [sh, -c, 'dd if=/dev/zero of=/data/file bs=1M count=16; sleep 3600']
    volumeMounts: [{name: data, mountPath: /data}]
`)
		s.kubectl("wait", "--for=jsonpath={.status.reason}=Evicted", kubectlPatience, "pod/greedy")
	})
}
