package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority signs the cluster's certificates; everything lives in the world's folder and dies with it.
type authority struct {
	world       *World
	name        string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

const lifetime = 30 * 24 * time.Hour

func (w *World) newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateTemplate(pkix.Name{CommonName: name})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{w, name, certificate, key}, w.writePair(name, der, key)
}

// issue makes NAME.crt and NAME.key for a server with these names or a client with this subject.
func (a *authority) issue(name string, subject pkix.Name, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificateTemplate(subject)
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	return a.world.writePair(name, der, key)
}

func certificateTemplate(subject pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(lifetime),
	}
}

func (w *World) writePair(name string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(w.certificate(name), "CERTIFICATE", der); err != nil {
		return err
	}
	return writePEM(w.key(name), "EC PRIVATE KEY", keyDER)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (w *World) certificate(name string) string { return w.path("pki", name+".crt") }
func (w *World) key(name string) string         { return w.path("pki", name+".key") }

// Kubeconfig is the file by which the named client (admin, kubelet…) reaches the API server.
func (w *World) Kubeconfig(name string) string { return w.path("pki", name+".kubeconfig") }

func (w *World) writeKubeconfig(name string) error {
	type object = map[string]any
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "cluster",
		"clusters": []object{{"name": "cluster", "cluster": object{
			"server":                fmt.Sprintf("https://%s:%d", Address, apiPort),
			"certificate-authority": w.certificate("ca"),
		}}},
		"users": []object{{"name": name, "user": object{
			"client-certificate": w.certificate(name), "client-key": w.key(name),
		}}},
		"contexts": []object{{"name": "cluster", "context": object{"cluster": "cluster", "user": name}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(w.Kubeconfig(name), text, 0o600)
}

// makeCertificates makes an authority, every server's and client's pair and the clients' kubeconfigs.
func (w *World) makeCertificates() error {
	ca, err := w.newAuthority("ca")
	if err != nil {
		return err
	}
	front, err := w.newAuthority("front-proxy-ca")
	if err != nil {
		return err
	}
	if err := front.issue("front-proxy", pkix.Name{CommonName: "front-proxy-client"}); err != nil {
		return err
	}
	if err := ca.issue("apiserver", pkix.Name{CommonName: "kube-apiserver"}, Address, apiService, "127.0.0.1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"); err != nil {
		return err
	}
	if err := ca.issue("service-accounts", pkix.Name{CommonName: "service-accounts"}); err != nil {
		return err
	}
	clients := []struct {
		name    string
		subject pkix.Name
	}{
		{"admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}},
		{"apiserver-kubelet", pkix.Name{CommonName: "kube-apiserver", Organization: []string{"system:masters"}}},
		{"controller-manager", pkix.Name{CommonName: "system:kube-controller-manager"}},
		{"scheduler", pkix.Name{CommonName: "system:kube-scheduler"}},
		{"proxy", pkix.Name{CommonName: "system:kube-proxy"}},
		{"kubelet", pkix.Name{CommonName: "system:node:" + Name, Organization: []string{"system:nodes"}}},
	}
	for _, client := range clients {
		if err := ca.issue(client.name, client.subject, Name, Address, "127.0.0.1"); err != nil {
			return err
		}
		if err := w.writeKubeconfig(client.name); err != nil {
			return err
		}
	}
	return nil
}
