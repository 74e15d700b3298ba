package stress

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Lags notes when programs had to wait for a CPU: then amp is not to blame for what is late. It counts a moment in which
// this process itself was late, or in which by the kernel's measure (PSI) some program waited nearly all the time.
type Lags struct {
	mu   sync.Mutex
	lags []lag
	stop chan struct{}
	done chan struct{}
}

type lag struct {
	at   time.Time
	lost time.Duration // before at
}

// NewLags starts to watch.
func NewLags() *Lags {
	l := &Lags{stop: make(chan struct{}), done: make(chan struct{})}
	go l.watch()
	return l
}

func (l *Lags) watch() {
	defer close(l.done)
	const nap = 20 * time.Millisecond
	before, waited := time.Now(), pressure()
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(nap):
		}
		now, waits := time.Now(), pressure()
		took, over, stalled := now.Sub(before), now.Sub(before)-nap, waits-waited
		if over > nap || stalled > took*4/5 {
			l.mu.Lock()
			l.lags = append(l.lags, lag{now, max(over, stalled)})
			l.mu.Unlock()
		}
		before, waited = now, waits
	}
}

// pressure is for how long so far some program of the machine has waited for a CPU; 0 if the kernel does not say.
func pressure() time.Duration {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	some, _, _ := strings.Cut(string(text), "\n")
	_, total, _ := strings.Cut(some, "total=")
	us, _ := strconv.ParseInt(total, 10, 64)
	return time.Duration(us) * time.Microsecond
}

// Stop stops watching.
func (l *Lags) Stop() { close(l.stop); <-l.done }

// Between is how much time was lost between two times.
func (l *Lags) Between(from, to time.Time) (sum time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.lags {
		if one.at.After(from) && one.at.Add(-one.lost).Before(to) {
			sum += one.lost
		}
	}
	return sum
}
