package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	warmUpKey = 9_999
	warmUp    = 50
	timeout   = 60 * time.Second
	// Thresholds of compression: the client's own, and one that nothing reaches.
	compressed = 4 * 1024
	never      = 1 << 30
)

func newProducer(g given) rocketmq.Producer {
	threshold := never
	if g["compress"] != "" {
		threshold = compressed
	}
	made, err := rocketmq.NewProducer(
		producer.WithGroupName("GID_bench"),
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{g["nameServer"]})),
		producer.WithQueueSelector(producer.NewHashQueueSelector()),
		producer.WithSendMsgTimeout(timeout),
		producer.WithCompressMsgBodyOverHowmuch(threshold),
		producer.WithRetry(0),
	)
	check(err)
	check(made.Start())
	return made
}

// warm has found its routes and connections.
func warm(g given) rocketmq.Producer {
	made := newProducer(g)
	for i := 0; i < warmUp; i++ {
		send(made, message(g, 0, body(warmUpKey, i, g.number("bytes"))))
	}
	return made
}

func message(g given, key int, body []byte) *primitive.Message {
	made := primitive.NewMessage(g["topic"], body)
	made.WithShardingKey("key-" + strconv.Itoa(key))
	return made
}

func send(through rocketmq.Producer, message *primitive.Message) {
	result, err := through.SendSync(context.Background(), message)
	check(err)
	if result.Status == primitive.SendUnknownError {
		check(fmt.Errorf("a send ended with %v", result))
	}
}

func awaited(g given) figures {
	through := warm(g)
	bytes := g.number("bytes")
	times := []time.Duration{}
	measure := start()
	for began := measure.began; !measure.isOver(g); {
		send(through, message(g, 0, body(0, len(times), bytes)))
		now := time.Now()
		times = append(times, now.Sub(began))
		began = now
	}
	told := measure.stop(len(times)).addLatencies(times)
	check(through.Shutdown())
	return told
}

func burst(g given) figures {
	through := warm(g)
	bytes, total := g.number("bytes"), g.number("messages")
	var failed atomic.Int64
	var open sync.WaitGroup
	open.Add(total)
	measure := start()
	for i := 0; i < total; i++ {
		settled := func(_ context.Context, _ *primitive.SendResult, err error) {
			if err != nil {
				failed.Add(1)
			}
			open.Done()
		}
		check(through.SendAsync(context.Background(), settled, message(g, 0, body(0, i, bytes))))
	}
	open.Wait()
	told := measure.stop(total - int(failed.Load()))
	if failed.Load() > 0 {
		told["failed"] = failed.Load()
	}
	check(through.Shutdown())
	return told
}

// loops runs one loop for each key until the time is up; what it gives is how many it has sent.
func loops(g given, measure *measure, one func(key, number int)) int {
	var sent atomic.Int64
	var running sync.WaitGroup
	for key := 0; key < g.number("keys"); key++ {
		running.Add(1)
		go func(key int) {
			defer running.Done()
			for i := 0; !measure.isOver(g); i++ {
				one(key, i)
				sent.Add(1)
			}
		}(key)
	}
	running.Wait()
	return int(sent.Load())
}

func keys(g given) figures {
	through := warm(g)
	bytes := g.number("bytes")
	times := make([][]time.Duration, g.number("keys"))
	measure := start()
	sent := loops(g, measure, func(key, number int) {
		began := time.Now()
		send(through, message(g, key, body(key, number, bytes)))
		times[key] = append(times[key], time.Since(began))
	})
	all := []time.Duration{}
	told := measure.stop(sent)
	for _, some := range times {
		all = append(all, some...)
	}
	told["perRequest"] = 1
	check(through.Shutdown())
	return told.addLatencies(all)
}

func mixed(g given) figures {
	through := warm(g)
	sizes := []int{}
	for _, size := range strings.Split(g["sizes"], ",") {
		number, err := strconv.Atoi(size)
		check(err)
		sizes = append(sizes, number)
	}
	var bytes atomic.Int64
	measure := start()
	sent := loops(g, measure, func(key, number int) {
		made := body(key, number, sizes[(key+number)%len(sizes)])
		send(through, message(g, key, made))
		bytes.Add(int64(len(made)))
	})
	told := measure.stop(sent)
	told["mibPerSecond"] = told["perSecond"].(float64) * float64(bytes.Load()) / float64(sent) / (1 << 20)
	check(through.Shutdown())
	return told
}

// cold sends one message; the runner looks at its clock.
func cold(g given) figures {
	send(newProducer(g), message(g, 0, body(0, 0, g.number("bytes"))))
	return figures{"messages": 1}
}
