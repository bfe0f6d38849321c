package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// measure begins with the timed part: its time, and the CPU time of the whole process.
type measure struct {
	began time.Time
	cpu   time.Duration
}

func start() *measure {
	return &measure{cpu: cpu(), began: time.Now()}
}

func (m *measure) isOver(g given) bool {
	return time.Since(m.began).Seconds() >= g.seconds()
}

func (m *measure) stop(messages int) figures {
	seconds := time.Since(m.began).Seconds()
	micros := float64((cpu() - m.cpu).Microseconds())
	return figures{
		"messages":  messages,
		"perSecond": float64(messages) / seconds,
		"cpuMicros": micros / float64(messages),
		"rssMiB":    status("VmRSS"),
	}
}

func cpu() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// status is a figure of the kernel's, in MiB.
func status(name string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	check(err)
	for _, line := range strings.Split(string(text), "\n") {
		if rest, found := strings.CutPrefix(line, name+":"); found {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			check(err)
			return kib / 1024
		}
	}
	return 0
}

func rssAfterCollection() float64 {
	runtime.GC()
	debug.FreeOSMemory()
	return status("VmRSS")
}

func (f figures) addLatencies(times []time.Duration) figures {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	for name, part := range map[string]float64{"p50Micros": 0.5, "p99Micros": 0.99, "p999Micros": 0.999} {
		if len(times) > 0 {
			f[name] = float64(times[int(part*float64(len(times)))].Nanoseconds()) / 1e3
		}
	}
	return f
}

const headDigits = 12

// body says whose key it is, and its number among the key's.
func body(key, number, bytes int) []byte {
	made := make([]byte, max(bytes, headDigits))
	for i := headDigits; i < len(made); i++ {
		made[i] = 'x'
	}
	writeDigits(made[:4], key)
	writeDigits(made[4:headDigits], number)
	return made
}

func writeDigits(into []byte, number int) {
	for i := len(into) - 1; i >= 0; i-- {
		into[i] = byte('0' + number%10)
		number /= 10
	}
}

func digits(text []byte) int {
	number := 0
	for _, digit := range text {
		number = 10*number + int(digit-'0')
	}
	return number
}

// order counts the messages that are handled after a later one of their key.
type order struct {
	sync.Mutex
	last       map[int]int
	inversions int
}

func (o *order) see(body []byte) {
	key, number := digits(body[:4]), digits(body[4:headDigits])
	o.Lock()
	defer o.Unlock()
	if last, known := o.last[key]; known && number < last {
		o.inversions++
	}
	o.last[key] = number
}
