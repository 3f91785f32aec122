package cluster

import (
	"fmt"
	"strings"
	"testing"
)

func TestProbesOfEveryKind(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("probed", `
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 2
  containers:
  - name: http
    image: $AGNHOST
    args: [netexec, --http-port=8090, --udp-port=-1]
    startupProbe: {httpGet: {port: 8090, path: /hostname}, periodSeconds: 1, failureThreshold: 120}
    readinessProbe: {tcpSocket: {port: 8090}, periodSeconds: 1}
    livenessProbe: {exec: {command: [/agnhost, --help]}, periodSeconds: 5, timeoutSeconds: 30}
  - name: grpc
    image: $AGNHOST
    args: [grpc-health-checking]
    readinessProbe: {grpc: {port: 5000}, periodSeconds: 1, timeoutSeconds: 10}
`)
		s.equal("restarts", s.field("pod/probed", ".status.containerStatuses[*].restartCount"), "0 0")
	})
}

func TestAProbeThatFailsRestartsTheContainer(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.apply(`
apiVersion: v1
kind: Pod
metadata: {name: sick}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: $BUSYBOX
    command: [sh, -c, 'touch /tmp/well; sleep 3; rm /tmp/well; sleep 3600']
    livenessProbe: {exec: {command: [cat, /tmp/well]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 30}
`)
		s.eventually("the container was started again", func() error {
			if restarts := s.field("pod/sick", ".status.containerStatuses[0].restartCount"); restarts == "" || restarts == "0" {
				return fmt.Errorf("restarts: %q", restarts)
			}
			return nil
		})
	})
}

func TestHooksInitContainersAndSidecars(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("ordered", `
apiVersion: v1
kind: Pod
metadata: {name: ordered}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 30
  volumes: [{name: data, emptyDir: {}}]
  initContainers:
  - name: first
    image: $BUSYBOX
    command: [sh, -c, 'echo first >>/data/order']
    volumeMounts: &data [{name: data, mountPath: /data}]
  - name: sidecar
    image: $BUSYBOX
    restartPolicy: Always
    command: [sh, -c, 'echo sidecar >>/data/order; trap "exit 0" TERM; while :; do sleep 1; done']
    startupProbe: {exec: {command: [grep, sidecar, /data/order]}, periodSeconds: 1, timeoutSeconds: 30}
    volumeMounts: *data
  - name: second
    image: $BUSYBOX
    command: [sh, -c, 'echo second >>/data/order']
    volumeMounts: *data
  containers:
  - name: main
    image: $BUSYBOX
    command: [sh, -c, 'echo main >>/data/order; trap "exit 0" TERM; while :; do sleep 1; done']
    lifecycle:
      postStart: {exec: {command: [sh, -c, 'echo started >/data/hook']}}
      preStop: {exec: {command: [sh, -c, 'echo stopping >/dev/termination-log']}}
    terminationMessagePolicy: File
    volumeMounts: *data
`)
		s.equal("order", s.sh("ordered", "cat /data/order"), "first\nsidecar\nsecond\nmain\n")
		s.equal("postStart", s.sh("ordered", "cat /data/hook"), "started\n")
	})
}

func TestAContainerSaysHowItEnded(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.apply(`
apiVersion: v1
kind: Pod
metadata: {name: ended}
spec:
  runtimeClassName: $HANDLER
  restartPolicy: Never
  containers:
  - {name: said, image: $BUSYBOX, command: [sh, -c, 'echo -n a message >/dev/termination-log; exit 3']}
  - name: hog
    image: $BUSYBOX
    command: [sh, -c, 'tail /dev/zero']
    resources: {limits: {memory: 32Mi}}
`)
		s.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", kubectlPatience, "pod/ended")
		path := `.status.containerStatuses[?(@.name=="%s")].state.terminated.%s`
		s.equal("message", s.field("pod/ended", fmt.Sprintf(path, "said", "message")), "a message")
		s.equal("exit code", s.field("pod/ended", fmt.Sprintf(path, "said", "exitCode")), "3")
		s.equal("hog", s.field("pod/ended", fmt.Sprintf(path, "hog", "reason")), "OOMKilled")
	})
}

func TestAnUnknownHandlerIsRefused(t *testing.T) {
	s := newSpace(t, "ns")
	s.apply(`
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: nobody-has-it}, handler: nobody-has-it}
---
apiVersion: v1
kind: Pod
metadata: {name: refused}
spec:
  runtimeClassName: nobody-has-it
  containers: [{name: main, image: $BUSYBOX, command: [sleep, "600"]}]
`)
	t.Cleanup(func() { s.kubectlAnywhere("delete", "runtimeclass", "nobody-has-it") })
	s.eventually("an event names the handler", func() error {
		events := s.try("get", "events", "--field-selector=involvedObject.name=refused", "-o", "jsonpath={.items[*].message}")
		if !strings.Contains(events, "nobody-has-it") {
			return fmt.Errorf("events: %q", events)
		}
		return nil
	})
}

func TestUserNamespaces(t *testing.T) {
	s := newSpace(t, "ns")
	s.runPod("mapped", `
apiVersion: v1
kind: Pod
metadata: {name: mapped}
spec:
  runtimeClassName: $HANDLER
  hostUsers: false
  terminationGracePeriodSeconds: 1
  volumes: [{name: data, emptyDir: {}}]
  containers:
  - name: main
    image: $BUSYBOX
    command: [sleep, "3600"]
    volumeMounts: [{name: data, mountPath: /data}]
`)
	words := strings.Fields(s.sh("mapped", "cat /proc/self/uid_map"))
	if len(words) != 3 || words[0] != "0" || words[1] == "0" || words[2] != "65536" {
		t.Errorf("uid_map: %v", words)
	}
	s.equal("owner of what it writes", s.sh("mapped", "touch /data/file; stat -c %u /data/file"), "0\n")
}
