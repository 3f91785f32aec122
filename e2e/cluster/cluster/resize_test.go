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

func TestResizeInPlace(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("sized", guaranteedPod)
		container := s.field("pod/sized", ".status.containerStatuses[0].containerID")
		s.kubectl("patch", "pod", "sized", "--subresource=resize", "-p",
			`{"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "300m", "memory": "96Mi"}, "limits": {"cpu": "300m", "memory": "96Mi"}}}]}}`)
		s.eventually("the running container has its new size", func() error {
			is := s.field("pod/sized", ".status.containerStatuses[0].resources.limits")
			if !strings.Contains(is, `"cpu":"300m"`) || !strings.Contains(is, `"memory":"96Mi"`) {
				return fmt.Errorf("%s; %s", is, s.field("pod/sized", ".status.conditions"))
			}
			return nil
		})
		s.equal("container", s.field("pod/sized", ".status.containerStatuses[0].containerID"), container)
		s.equal("restarts", s.field("pod/sized", ".status.containerStatuses[0].restartCount"), "0")
		limit := s.sh("sized", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null | head -n 1")
		s.equal("limit that the container sees", limit, fmt.Sprintln(96<<20))
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
