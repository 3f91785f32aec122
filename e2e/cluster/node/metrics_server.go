package node

import (
	_ "embed"
	"fmt"
	"os"
	"strings"
)

//go:embed metrics-server.yaml
var metricsServer string

const metricsServerImage = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"

// StartMetricsServer runs this program as the cluster's metrics-server and returns once the API server
// has numbers from it (for `kubectl top`); remove takes it out again.
func (c *Cluster) StartMetricsServer(program string) (remove func() error, err error) {
	archive, err := c.World.writeArchive("metrics-server-image", []image{{
		names:      []string{metricsServerImage},
		files:      []imageFile{{path: "metrics-server", source: program, mode: 0o755}},
		entrypoint: []string{"/metrics-server"},
	}})
	if err != nil {
		return nil, fmt.Errorf("metrics-server's image: %w", err)
	}
	defer os.Remove(archive)
	if err := c.Runtime.Load(archive); err != nil {
		return nil, err
	}
	manifest := c.World.path("metrics-server.yaml")
	if err := os.WriteFile(manifest, []byte(strings.ReplaceAll(metricsServer, "$IMAGE", metricsServerImage)), 0o644); err != nil {
		return nil, err
	}
	remove = func() error {
		_, err := c.Kubectl("delete", "-f", manifest, "--wait")
		return err
	}
	for _, arguments := range [][]string{
		{"apply", "-f", manifest},
		{"rollout", "status", "deployment/metrics-server", "--namespace", "kube-system", "--timeout=3m"},
		{"wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=3m"},
	} {
		if _, err := c.Kubectl(arguments...); err != nil {
			log, _ := c.Kubectl("logs", "deployment/metrics-server", "--namespace", "kube-system", "--tail=20")
			_ = remove()
			return nil, fmt.Errorf("%w\nmetrics-server's log: %s", err, log)
		}
	}
	return remove, nil
}
