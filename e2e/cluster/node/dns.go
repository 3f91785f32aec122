package node

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
)

const (
	dnsImage   = "registry.k8s.io/coredns/coredns:v1.15.0"
	dnsProgram = "coredns"      // of ../dns, among Kubernetes' programs
	dnsLimit   = "--timeout=5m" // in a virtual machine without KVM it is slow to start
)

//go:embed dns.yaml
var dnsManifest string

// startDNS runs the cluster's DNS server, a workload like any other, and returns once it answers.
func (c *Cluster) startDNS() error {
	if program := filepath.Join(c.options.Kubernetes, dnsProgram); !exists(program) {
		return fmt.Errorf("no DNS server: e2e/cluster/build_module.sh makes %s", program)
	}
	manifest := strings.NewReplacer("$IMAGE", dnsImage, "$ADDRESS", dnsService).Replace(dnsManifest)
	apply := c.KubectlCommand("apply", "-f", "-")
	apply.Stdin = strings.NewReader(manifest)
	if output, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w: %s", err, output)
	}
	if _, err := c.Kubectl("--namespace", "kube-system", "rollout", "status", "deployment/coredns", dnsLimit); err != nil {
		state, _ := c.Kubectl("--namespace", "kube-system", "get", "pods,events", "-o", "wide")
		return fmt.Errorf("the DNS server does not get ready: %w\n%s", err, state)
	}
	return nil
}
