package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/e2e/cluster/await"
)

// One Deployment, first on ns, then half-way to vm, then on vm, then back.
func TestADeploymentMovesToTheOtherHull(t *testing.T) {
	s := newSpace(t, "ns")
	// A new pod must be Ready for an hour before an old one goes: until the test says otherwise.
	s.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  minReadySeconds: 3600
  progressDeadlineSeconds: 7200
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      runtimeClassName: $HANDLER
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: $BUSYBOX
        command: [sh, -c, 'mkdir /www; hostname >/www/index.html; exec httpd -f -p 8080 -h /www']
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1, timeoutSeconds: 10}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`)
	const isReady = `{range .items[*]}{.spec.runtimeClassName}={.status.conditions[?(@.type=="Ready")].status} {end}`
	ready := func(where ...string) {
		t.Helper()
		want := strings.Join(where, "=True ") + "=True "
		s.eventually("the pods are those and ready: "+want, func() error {
			if is := s.kubectl("get", "pods", "--sort-by={.spec.runtimeClassName}", "-o", "jsonpath="+isReady); is != want {
				return fmt.Errorf("%q", is)
			}
			return nil
		})
	}
	change := func(patch string) { t.Helper(); s.kubectl("patch", "deployment", "web", "-p", patch) }
	ready("catamaran-ns", "catamaran-ns")
	change(`{"spec": {"template": {"spec": {"runtimeClassName": "catamaran-vm"}}}}`)
	ready("catamaran-ns", "catamaran-ns", "catamaran-vm")
	address, seen := s.field("service/web", ".spec.clusterIP"), map[string]bool{}
	s.eventually("pods of both classes answer as one", func() error {
		seen[page(s, address)] = true
		if len(seen) < 3 {
			return fmt.Errorf("only %v", seen)
		}
		return nil
	})
	change(`{"spec": {"minReadySeconds": 0}}`)
	ready("catamaran-vm", "catamaran-vm")
	s.kubectl("rollout", "undo", "deployment/web")
	ready("catamaran-ns", "catamaran-ns")
}

func TestAClassWithAnotherKernel(t *testing.T) {
	const handler = "vm-6-12"
	s := newSpace(t, handler)
	if handlers := s.field("node/node0", ".status.runtimeHandlers[*].name"); !strings.Contains(handlers, handler) {
		t.Skipf("the node's handlers are %q: ./dev build --kernel 6.12 makes the other kernel", handlers)
	}
	s.runPod("server", serverPod)
	if kernel := s.sh("server", "uname -r"); !strings.HasPrefix(kernel, "6.12.") {
		t.Errorf("kernel %q", kernel)
	}
	s.equal("page", page(s, s.field("pod/server", ".status.podIP")+":8080"), "I am server\n")
	s.equal("overhead", s.field("pod/server", ".spec.overhead.memory"), "128Mi")
	first := newSpace(t, "vm")
	first.runPod("server", serverPod)
	if kernel := first.sh("server", "uname -r"); strings.HasPrefix(kernel, "6.12.") {
		t.Errorf("catamaran-vm has kernel %q too", kernel)
	}
}

// Admission takes it from the class, and the kubelet makes the pod's group by so much larger.
func TestOverheadIsThePods(t *testing.T) {
	s := newSpace(t, "vm")
	s.runPod("sized", guaranteedPod)
	s.equal("overhead", s.field("pod/sized", ".spec.overhead.memory"), "128Mi")
	s.equal("overhead of CPU", s.field("pod/sized", ".spec.overhead.cpu"), "50m")
	s.equal("the pod's limit", podLimit(t, s.field("pod/sized", ".metadata.uid")), fmt.Sprint((64+128)<<20))
}

// podLimit is the memory that a pod may have, as its group says.
func podLimit(t *testing.T, uid string) string {
	t.Helper()
	for _, group := range cluster.World.Groups() {
		for _, file := range []string{"memory.max", "memory.limit_in_bytes"} {
			limit, err := os.ReadFile(filepath.Join(group, file))
			if filepath.Base(group) == "pod"+uid && err == nil {
				return strings.TrimSpace(string(limit))
			}
		}
	}
	t.Fatalf("pod %s has no group with a limit of memory", uid)
	return ""
}

const classOfTheTest = `
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: $NAMESPACE}
handler: %s
overhead: {podFixed: {memory: %s}}
scheduling:
  nodeSelector: {catamaran-test/$NAMESPACE: "true"}
  tolerations: [{key: catamaran-test/$NAMESPACE, operator: Exists}]
---
apiVersion: v1
kind: Pod
metadata: {name: picky}
spec:
  runtimeClassName: $NAMESPACE
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: $BUSYBOX, command: [sleep, "3600"]}]
`

// waits is what the scheduler says of a pod that finds no node.
func (s *space) waits(pod, because string) {
	s.t.Helper()
	s.eventually("the scheduler finds no node for "+pod, func() error {
		message := s.field("pod/"+pod, `.status.conditions[?(@.reason=="Unschedulable")].message`)
		if !strings.Contains(message, because) {
			return fmt.Errorf("%q", message)
		}
		return nil
	})
}

func TestAClassKeepsPodsToItsNodes(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		label := "catamaran-test/" + s.name
		s.t.Cleanup(func() { s.kubectlAnywhere("delete", "runtimeclass", s.name) })
		s.apply(fmt.Sprintf(classOfTheTest, s.handler, "1Mi"))
		s.waits("picky", "affinity/selector")
		s.equal("node selector", s.field("pod/picky", ".spec.nodeSelector"), fmt.Sprintf("{%q:\"true\"}", label))
		// A node of its own, for nobody else.
		s.kubectlAnywhere("taint", "node", "node0", label+"=:NoSchedule")
		s.t.Cleanup(func() {
			_, err := cluster.Kubectl("taint", "node", "node0", label+"-")
			await.Must(s.t, err)
			_, err = cluster.Kubectl("label", "node", "node0", label+"-")
			await.Must(s.t, err)
		})
		s.kubectlAnywhere("label", "node", "node0", label+"=true")
		s.waitReady("pod/picky")
	})
}

func TestTheSchedulerCountsAClasssOverhead(t *testing.T) {
	s := newSpace(t, "vm")
	t.Cleanup(func() { s.kubectlAnywhere("delete", "runtimeclass", s.name) })
	t.Cleanup(func() { s.kubectlAnywhere("label", "node", "node0", "catamaran-test/"+s.name+"-") })
	s.kubectlAnywhere("label", "node", "node0", "catamaran-test/"+s.name+"=true")
	s.apply(fmt.Sprintf(classOfTheTest, s.handler, "1000Gi"))
	s.waits("picky", "Insufficient memory")
}
