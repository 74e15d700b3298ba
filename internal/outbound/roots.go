package outbound

import (
	"crypto/x509"
	"fmt"
	"os"
)

// CAs returns the CAs in a PEM text that was read from path. Its error names the path.
func CAs(path string, pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s does not hold a certificate in PEM form", path)
	}
	return pool, nil
}

// CAsOf returns the CAs in the PEM file at path. An empty path is the system's roots: nil.
func CAsOf(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path) // its error names the path, too
	if err != nil {
		return nil, err
	}
	return CAs(path, pem)
}
