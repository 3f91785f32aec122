package cluster

import (
	"fmt"
	"strings"
	"testing"
)

func deployment(handler string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-%[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: web, hull: %[1]s}}
  template:
    metadata: {labels: {app: web, hull: %[1]s}}
    spec:
      runtimeClassName: catamaran-%[1]s
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: $BUSYBOX
        command: [sh, -c, 'mkdir /www; echo "$(hostname) on $(uname -r)" >/www/index.html; exec httpd -f -p 8080 -h /www']
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
`, handler)
}

// One Service whose pods are on both hulls, asked from both, by its address and through a node port.
func TestServicesBetweenHulls(t *testing.T) {
	s := newSpace(t, "ns")
	s.apply(deployment("ns") + deployment("vm") + `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`)
	for _, name := range []string{"web-ns", "web-vm"} {
		s.kubectl("rollout", "status", "deployment/"+name, kubectlPatience)
	}
	s.eventually("four endpoints", func() error {
		if addresses := strings.Fields(s.field("endpointslices", ".items[*].endpoints[*].addresses[0]")); len(addresses) != 4 {
			return fmt.Errorf("%v", addresses)
		}
		return nil
	})
	address := s.field("service/web", ".spec.clusterIP")
	for _, from := range []string{"web-ns", "web-vm"} {
		seen := map[string]bool{}
		s.eventually("all four pods answer "+from, func() error {
			for _, line := range strings.Split(strings.TrimSpace(s.sh("deployment/"+from, "for i in 1 2 3 4 5 6 7 8 9 10; do wget -q -O - http://"+address+"; done")), "\n") {
				seen[line] = true
			}
			if len(seen) < 4 {
				return fmt.Errorf("only %v", seen)
			}
			return nil
		})
		kernels := map[string]bool{}
		for line := range seen {
			kernels[line[strings.LastIndex(line, " "):]] = true
		}
		if len(kernels) != 2 {
			t.Errorf("the pods run on these kernels: %v", kernels)
		}
	}
	if got := page(s, "10.199.0.1:"+s.field("service/web", ".spec.ports[0].nodePort")); !strings.HasPrefix(got, "web-") {
		t.Errorf("by the node port: %q", got)
	}
}

// By its service account, through the service's address, as every controller in a cluster does.
func TestAPodReachesTheAPIServer(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("client", `
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: $AGNHOST, args: [inclusterclient, --poll-interval=1]}]
`)
		s.eventually("it has asked the API server three times", func() error {
			log := s.kubectl("logs", "client")
			if strings.Contains(log, "error") {
				s.t.Fatalf("%s", log)
			}
			if strings.Count(log, "calling /healthz") < 3 {
				return fmt.Errorf("%q", log)
			}
			return nil
		})
	})
}
