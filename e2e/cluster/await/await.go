// Package await is for tests of what becomes true after a while.
package await

import (
	"testing"
	"time"
)

// Patience is how long something that must happen is waited for; a busy machine is no failure.
const Patience = 3 * time.Minute

const interval = 100 * time.Millisecond

// Until fails the test unless the condition holds within the patience; it says what the condition last
// said.
func Until(t testing.TB, what string, condition func() error) {
	t.Helper()
	end := time.Now().Add(Patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still waiting after %s: %s: %v", Patience, what, err)
		}
		time.Sleep(interval)
	}
}

// Must ends the test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
