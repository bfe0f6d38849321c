// The genuine Go client at work: sends one message for each line of standard input, whose sharding key it is.
//
//	vectors NAMESRV TOPIC
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

func main() {
	rlog.SetLogLevel("error")
	made, err := rocketmq.NewProducer(
		producer.WithGroupName("GID_vectors"),
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{os.Args[1]})),
		producer.WithQueueSelector(producer.NewHashQueueSelector()),
		producer.WithRetry(0),
	)
	check(err)
	check(made.Start())
	keys := bufio.NewScanner(os.Stdin)
	for keys.Scan() {
		message := primitive.NewMessage(os.Args[2], []byte(keys.Text()))
		message.WithShardingKey(keys.Text())
		result, err := made.SendSync(context.Background(), message)
		check(err)
		if result.Status != primitive.SendOK {
			check(fmt.Errorf("a send ended with %v", result))
		}
	}
	check(keys.Err())
	check(made.Shutdown())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
