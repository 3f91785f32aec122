package main

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"catamaran/e2e/cluster/node"
)

//go:embed default-class.yaml
var defaultClass string

const classLimit = time.Minute

// What the class's overhead does not have, because it is for KVM: QEMU's translated code, 64 MiB at most.
const emulatedOverhead = `{"overhead": {"podFixed": {"memory": "192Mi"}}}`

// giveClass makes the API server give this RuntimeClass to pods that name none, and returns once it does.
func giveClass(cluster *node.Cluster, class, manifests string) error {
	if err := cluster.ApplyRuntimeClasses(manifests); err != nil {
		return err
	}
	if _, err := cluster.Kubectl("patch", "runtimeclass", class, "--type=merge", "--patch", emulatedOverhead); err != nil {
		return err
	}
	apply := cluster.KubectlCommand("apply", "-f", "-")
	apply.Stdin = strings.NewReader(strings.ReplaceAll(defaultClass, "$CLASS", class))
	if output, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w: %s", err, output)
	}
	// A policy is in force a moment after it is there.
	for end := time.Now().Add(classLimit); ; time.Sleep(time.Second) {
		got, err := cluster.Kubectl("run", "probe", "--image=none", "--dry-run=server", "-o",
			"jsonpath={.spec.runtimeClassName} {.spec.overhead.memory}")
		if err == nil && strings.HasPrefix(got, class+" ") {
			fmt.Println("conformance: pods that name no RuntimeClass get", got)
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("pods do not get the class %s: %q, %w", class, got, err)
		}
	}
}
