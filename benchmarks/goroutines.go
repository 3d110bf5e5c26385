// Costs of goroutines on one thread, as bench_async.py measures those of tasks: nanoseconds to
// start one and wait for it, nanoseconds of a switch, bytes of one that waits.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
)

const number = 100_000

// used returns the CPU time of this process in nanoseconds.
func used() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	runtime.GOMAXPROCS(1)
	var wait sync.WaitGroup
	start := used()
	for index := 0; index < number; index++ {
		wait.Add(1)
		go wait.Done()
		wait.Wait()
	}
	fmt.Println((used() - start) / number)

	there, back := make(chan int), make(chan int)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	start = used()
	for index := 0; index < number; index++ {
		there <- index
		<-back
	}
	fmt.Println((used() - start) / number / 2)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	never := make(chan int)
	for index := 0; index < number; index++ {
		go func() { <-never }()
	}
	runtime.Gosched()
	runtime.ReadMemStats(&after)
	fmt.Println((after.Sys - before.Sys) / number)
}
