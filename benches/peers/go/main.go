// The rounds of the Go client: a line "name=value name=value …" asks for one, a line of JSON answers.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// given is what a round is given.
type given map[string]string

func (g given) number(name string) int {
	number, err := strconv.Atoi(g[name])
	check(err)
	return number
}

func (g given) seconds() float64 {
	seconds, err := strconv.ParseFloat(g["seconds"], 64)
	check(err)
	return seconds
}

// figures are what a round tells.
type figures map[string]any

var rounds = map[string]func(given) figures{
	"await":   awaited,
	"burst":   burst,
	"keys":    keys,
	"mixed":   mixed,
	"drain":   drain,
	"latency": latency,
	"memory":  memory,
	"cold":    cold,
	"join":    join,
	"leave":   leave,
}

func main() {
	rlog.SetLogLevel("fatal")
	check(rlog.SetOutputPath(os.DevNull))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		asked := given{}
		for _, pair := range strings.Fields(lines.Text()) {
			name, value, _ := strings.Cut(pair, "=")
			asked[name] = value
		}
		round, known := rounds[asked["workload"]]
		if !known {
			check(fmt.Errorf("there is no workload %q", asked["workload"]))
		}
		tell(round(asked))
	}
}

func tell(told figures) {
	text, err := json.Marshal(told)
	check(err)
	fmt.Println(string(text))
}

// check ends the program: nobody but the person who reads it makes anything of an error.
func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
