package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const cosignatureType = 0x04

// cosigner verifies timestamped cosignatures, which x/mod leaves to its callers.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a vkey")
	}
	data, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if len(data) != 1+ed25519.PublicKeySize || data[0] != cosignatureType {
		return nil, errors.New("not an Ed25519 cosignature key")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), data...))
	hash := binary.BigEndian.Uint32(sum[:])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("key id does not fit the key")
	}
	return &cosigner{parts[0], hash, data[1:]}, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	if time > 1<<63-1 {
		return false
	}
	var signed bytes.Buffer
	fmt.Fprintf(&signed, "cosignature/v1\ntime %d\n%s", time, msg)
	return ed25519.Verify(c.key, signed.Bytes(), sig[8:])
}

type signers struct {
	log       note.Verifier
	cosigners []*cosigner
	quorum    int
}

func (s *signers) list() note.Verifiers {
	all := []note.Verifier{s.log}
	for _, c := range s.cosigners {
		all = append(all, c)
	}
	return note.VerifierList(all...)
}

// open checks the checkpoint's log signature and quorum, and gives its text.
func (s *signers) open(data []byte) (text string, cosigned int, err error) {
	n, err := note.Open(data, s.list())
	if err != nil {
		return "", 0, err
	}
	signed := false
	keys := map[string]bool{}
	for _, sig := range n.Sigs {
		if sig.Name == s.log.Name() && sig.Hash == s.log.KeyHash() {
			signed = true
		}
		for _, c := range s.cosigners {
			if sig.Name == c.name && sig.Hash == c.hash {
				keys[string(c.key)] = true
			}
		}
	}
	if !signed {
		return "", 0, errors.New("the log did not sign the checkpoint")
	}
	if len(keys) < s.quorum {
		return "", 0, fmt.Errorf("%d cosignatures, %d needed", len(keys), s.quorum)
	}
	return n.Text, len(keys), nil
}
