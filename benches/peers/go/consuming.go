package main

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const (
	// Sent until one of each key has come, before the clock starts.
	probe      = 90_000_000
	probePause = 20 * time.Millisecond
)

func newConsumer(g given, handle func(body []byte)) rocketmq.PushConsumer {
	options := []consumer.Option{
		consumer.WithGroupName(g["group"]),
		consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{g["nameServer"]})),
		consumer.WithConsumerOrder(true),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithInstance("bench-" + strconv.FormatInt(time.Now().UnixNano(), 10)),
	}
	if batch := g["batch"]; batch != "" {
		options = append(options, consumer.WithConsumeMessageBatchMaxSize(g.number("batch")))
	}
	made, err := rocketmq.NewPushConsumer(options...)
	check(err)
	listener := func(_ context.Context, batch ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range batch {
			handle(message.Body)
		}
		return consumer.ConsumeSuccess, nil
	}
	check(made.Subscribe(g["topic"], consumer.MessageSelector{}, listener))
	check(made.Start())
	return made
}

// drain begins with the first message, or with the start of the consumer, and ends with the last one or when the time is up.
func drain(g given) figures {
	most := int64(g.number("messages"))
	seen := order{last: map[int]int{}}
	var handled atomic.Int64
	var begin, end sync.Once
	var measure *measure
	over := make(chan figures, 1)
	if g["from"] != "" {
		begin.Do(func() { measure = start() })
	}
	made := newConsumer(g, func(body []byte) {
		begin.Do(func() { measure = start() })
		count := handled.Add(1)
		if count > most {
			return
		}
		seen.see(body)
		if count == most || (count%64 == 0 && measure.isOver(g)) {
			end.Do(func() { over <- measure.stop(int(count)) })
		}
	})
	told := <-over
	seen.Lock()
	told["inversions"] = seen.inversions
	seen.Unlock()
	check(made.Shutdown())
	return told
}

// latency is from the call of the send to the beginning of the handler, at a steady rate.
func latency(g given) figures {
	keys, rate := g.number("keys"), g.number("rate")
	total := int(float64(rate) * g.seconds())
	called := make([]atomic.Int64, total)
	times := make(chan time.Duration, total)
	epoch := time.Now()
	seen := order{last: map[int]int{}}
	var probed sync.Map
	handle := func(body []byte) {
		now := time.Since(epoch)
		key, number := digits(body[:4]), digits(body[4:headDigits])
		if number >= probe {
			probed.Store(key, true)
		} else if key < keys {
			seen.see(body)
			times <- now - time.Duration(called[number*keys+key].Load())
		}
	}
	receiving := newConsumer(g, handle)
	through := warm(g)
	bytes := g.number("bytes")
	for i, missing := 0, keys; missing > 0; i++ {
		missing = 0
		for key := 0; key < keys; key++ {
			if _, known := probed.Load(key); !known {
				missing++
				send(through, message(g, key, body(key, probe+i, bytes)))
			}
		}
		time.Sleep(probePause)
	}
	measure := start()
	for i := 0; i < total; i++ {
		time.Sleep(time.Until(measure.began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		made := message(g, i%keys, body(i%keys, i/keys, bytes))
		called[i].Store(int64(time.Since(epoch)))
		check(through.SendAsync(context.Background(), func(_ context.Context, _ *primitive.SendResult, err error) { check(err) }, made))
	}
	all := make([]time.Duration, total)
	for i := range all {
		all[i] = <-times
	}
	told := measure.stop(total).addLatencies(all)
	told["inversions"] = seen.inversions
	check(through.Shutdown())
	check(receiving.Shutdown())
	return told
}

// memory is what a process holds after it has sent, and after it has handled, many messages.
func memory(g given) figures {
	through := warm(g)
	total, bytes := int64(g.number("messages")), g.number("bytes")
	var begun, sent atomic.Int64
	measure := start()
	var running sync.WaitGroup
	for key := 0; key < g.number("keys"); key++ {
		running.Add(1)
		go func(key int) {
			defer running.Done()
			for i := 0; !measure.isOver(g) && begun.Add(1) <= total; i++ {
				send(through, message(g, key, body(key, i, bytes)))
				sent.Add(1)
			}
		}(key)
	}
	running.Wait()
	afterSends := rssAfterCollection()
	var handled atomic.Int64
	over := make(chan struct{}, 1)
	made := newConsumer(g, func(body []byte) {
		if digits(body[:4]) != warmUpKey && handled.Add(1) == sent.Load() {
			over <- struct{}{}
		}
	})
	<-over
	told := measure.stop(int(sent.Load()))
	told["sentRssMiB"] = afterSends
	told["handledRssMiB"] = rssAfterCollection()
	told["peakRssMiB"] = status("VmHWM")
	check(made.Shutdown())
	check(through.Shutdown())
	return told
}

var member rocketmq.PushConsumer

func join(g given) figures {
	member = newConsumer(g, func(body []byte) { tell(figures{"handled": digits(body[:4])}) })
	return figures{"joined": true}
}

func leave(given) figures {
	check(member.Shutdown())
	return figures{"left": true}
}
