// Talk is what runs in the pods of bench/real_nodes: it serves, and asks every address of a list again and again,
// whether anybody holds it or not.
//
//	talk pause                                 sleep until SIGTERM and bury orphans: a sandbox's process
//	talk mesh [flags] FIRST-LAST:PORT ...      serve and ask (LAST: the last byte of the last address)
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	patience = 2500 * time.Millisecond // how long an answer is waited for
	beat     = 300 * time.Millisecond  // between two words of a connection that is kept
	keptOf   = 8                       // one connection of so many lives for seconds
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "pause" {
		pause()
	}
	if len(os.Args) > 1 && os.Args[1] == "mesh" {
		mesh(os.Args[2:])
	}
	fmt.Fprintln(os.Stderr, "talk pause | talk mesh [flags] FIRST-LAST:PORT ...")
	os.Exit(2)
}

func pause() {
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for one := range told {
		if one != syscall.SIGCHLD {
			os.Exit(0)
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

func mesh(words []string) {
	flags := flag.NewFlagSet("mesh", flag.ExitOnError)
	port := flags.Int("port", 8080, "where to serve")
	life := flags.Duration("for", 0, "end by itself after this long; 0: never")
	deaf := flags.Bool("deaf", false, "do not end on SIGTERM")
	every := flags.Duration("every", 160*time.Millisecond, "between two questions, on average")
	flags.Parse(words)
	if *deaf {
		signal.Ignore(syscall.SIGTERM)
	} else {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		go func() { <-told; os.Exit(0) }()
	}
	go serve(*port)
	peers := expand(flags.Args())
	end := make(<-chan time.Time)
	if *life > 0 {
		end = time.After(*life)
	}
	for {
		select {
		case <-end:
			os.Exit(0)
		case <-time.After(*every/2 + rand.N(*every)):
			go ask(peers[rand.IntN(len(peers))])
		}
	}
}

func expand(ranges []string) []netip.AddrPort {
	var peers []netip.AddrPort
	for _, text := range ranges {
		span, port, _ := strings.Cut(text, ":")
		first, last, _ := strings.Cut(span, "-")
		address, err := netip.ParseAddr(first)
		number, err2 := strconv.ParseUint(port, 10, 16)
		final, err3 := strconv.ParseUint(last, 10, 8)
		if err != nil || err2 != nil || err3 != nil || !address.Is4() {
			fmt.Fprintln(os.Stderr, "not FIRST-LAST:PORT:", text)
			os.Exit(2)
		}
		for ; uint64(address.As4()[3]) <= final; address = address.Next() {
			peers = append(peers, netip.AddrPortFrom(address, uint16(number)))
			if address.As4()[3] == 255 {
				break
			}
		}
	}
	if len(peers) == 0 {
		fmt.Fprintln(os.Stderr, "nobody to ask")
		os.Exit(2)
	}
	return peers
}

func serve(port int) {
	listener, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		connection, err := listener.Accept()
		if err == nil {
			go answer(connection)
		}
	}
}

func answer(connection net.Conn) {
	defer connection.Close()
	said := make([]byte, 400)
	if _, err := connection.Write(said); err != nil {
		return
	}
	heard := make([]byte, 1000)
	for {
		connection.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := connection.Read(heard); err != nil {
			return
		}
		if _, err := connection.Write(said[:100]); err != nil {
			return
		}
	}
}

func ask(whom netip.AddrPort) {
	connection, err := net.DialTimeout("tcp4", whom.String(), patience)
	if err != nil {
		return
	}
	defer connection.Close()
	heard := make([]byte, 1000)
	connection.SetReadDeadline(time.Now().Add(patience))
	if _, err := connection.Read(heard); err != nil || rand.IntN(keptOf) != 0 {
		return
	}
	until := time.Now().Add(2*time.Second + rand.N(13*time.Second))
	for time.Now().Before(until) {
		time.Sleep(beat)
		if _, err := connection.Write(heard[:60]); err != nil {
			return
		}
		connection.SetReadDeadline(time.Now().Add(patience))
		if _, err := connection.Read(heard); err != nil {
			return
		}
	}
}
