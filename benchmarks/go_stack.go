// The same two services from Go's standard library: net/http, encoding/json, one JSON line per
// message to the agent. Each runs on one thread, like Kakuri's. With -log, they log what Kakuri logs
// by default, with log/slog: a line for each request and two for each new workload.
//
// Usage: go_stack [-log] agent PORT | control-plane PORT AGENT_PORT
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	maxBody = 1 << 18
	maxLine = 1 << 20
	toStart = 50 * time.Millisecond
)

var logs = flag.Bool("log", false, "log requests and states of workloads")

var workloadID = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

type workload struct {
	ID            string `json:"id"`
	Image         string `json:"image"`
	RuntimeClass  string `json:"runtime_class"`
	MemoryMB      int    `json:"memory_mb"`
	CPUMillicores int    `json:"cpu_millicores"`
}

type message struct {
	Type     string    `json:"type"`
	ID       string    `json:"id,omitempty"`
	Workload *workload `json:"workload,omitempty"`
	State    string    `json:"state,omitempty"`
	Code     string    `json:"code,omitempty"`
	Message  string    `json:"message,omitempty"`
}

func (w *workload) check() error {
	switch {
	case !workloadID.MatchString(w.ID):
		return errors.New("expected a workload id")
	case w.Image == "" || len(w.Image) > 255:
		return errors.New("expected an image")
	case w.RuntimeClass != "edera-zone":
		return errors.New("expected runtime_class to be edera-zone")
	case w.MemoryMB < 1 || w.CPUMillicores < 1:
		return errors.New("expected positive limits")
	}
	return nil
}

// The agent: workloads that run after a moment.

type node struct {
	mutex  sync.Mutex
	states map[string]string
	specs  map[string]workload
}

func (n *node) answer(request message) message {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if request.Type == "StartWorkload" && request.Workload != nil {
		id := request.Workload.ID
		if err := request.Workload.check(); err != nil {
			return message{Type: "Error", ID: id, Code: "invalid", Message: err.Error()}
		}
		if _, known := n.states[id]; !known {
			n.states[id] = "Pending"
			n.specs[id] = *request.Workload
			if *logs {
				slog.Info("workload accepted", "workload", id, "image", request.Workload.Image)
			}
			time.AfterFunc(toStart, func() {
				n.mutex.Lock()
				n.states[id] = "Running"
				n.mutex.Unlock()
				if *logs {
					slog.Info("workload state changed", "workload", id, "state", "running")
				}
			})
		}
		return message{Type: "Status", ID: id, State: n.states[id]}
	}
	if state, known := n.states[request.ID]; known {
		return message{Type: "Status", ID: request.ID, State: state}
	}
	return message{Type: "Error", ID: request.ID, Code: "not_found", Message: "no such workload"}
}

func (n *node) serve(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for lines.Scan() {
		var request message
		if json.Unmarshal(lines.Bytes(), &request) != nil {
			return
		}
		reply, err := json.Marshal(n.answer(request))
		if err != nil {
			return
		}
		if _, err := connection.Write(append(reply, '\n')); err != nil {
			return
		}
	}
}

func agent(port string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	n := &node{states: map[string]string{}, specs: map[string]workload{}}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go n.serve(connection)
	}
}

// The control plane: a pool of connections to the agent, each for one request at a time.

type link struct {
	connection net.Conn
	reader     *bufio.Reader
}

type plane struct {
	agent string
	free  chan link
}

func (p *plane) ask(request message) (message, error) {
	var reply message
	var one link
	select {
	case one = <-p.free:
	default:
		connection, err := net.Dial("tcp", p.agent)
		if err != nil {
			return reply, err
		}
		one = link{connection, bufio.NewReader(connection)}
	}
	line, err := json.Marshal(request)
	if err == nil {
		_, err = one.connection.Write(append(line, '\n'))
	}
	if err == nil {
		line, err = one.reader.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &reply)
	}
	if err != nil {
		one.connection.Close()
		return reply, err
	}
	select {
	case p.free <- one:
	default:
		one.connection.Close()
	}
	return reply, nil
}

func write(response http.ResponseWriter, status int, content any) {
	body, err := json.Marshal(content)
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	response.Write(body)
}

func problem(response http.ResponseWriter, status int, detail string) {
	write(response, status, map[string]string{"detail": detail})
}

func (p *plane) create(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, maxBody))
	if err != nil {
		problem(response, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var wanted workload
	err = decoder.Decode(&wanted)
	if err == nil {
		err = wanted.check()
	}
	if err != nil {
		problem(response, http.StatusBadRequest, err.Error())
		return
	}
	if _, err := p.ask(message{Type: "StartWorkload", Workload: &wanted}); err != nil {
		problem(response, http.StatusServiceUnavailable, err.Error())
		return
	}
	response.Header().Set("Location", "/workloads/"+wanted.ID)
	write(response, http.StatusCreated, wanted)
}

func (p *plane) status(response http.ResponseWriter, id string) {
	reply, err := p.ask(message{Type: "GetStatus", ID: id})
	switch {
	case err != nil:
		problem(response, http.StatusServiceUnavailable, err.Error())
	case reply.Type == "Error":
		problem(response, http.StatusNotFound, reply.Message)
	default:
		write(response, http.StatusOK, map[string]string{
			"id": id, "state": strings.ToLower(reply.State),
		})
	}
}

func (p *plane) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	id := strings.TrimPrefix(request.URL.Path, "/workloads/")
	switch {
	case request.Method == http.MethodPost && request.URL.Path == "/workloads":
		p.create(response, request)
	case request.Method == http.MethodGet && id != request.URL.Path && workloadID.MatchString(id):
		p.status(response, id)
	default:
		problem(response, http.StatusNotFound, "no such resource")
	}
}

// Requests in the log: net/http has no access log of its own.

type recorder struct {
	http.ResponseWriter
	status, size int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(content []byte) (int, error) {
	r.size += len(content)
	return r.ResponseWriter.Write(content)
}

func logged(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		started := time.Now()
		record := recorder{ResponseWriter: response}
		handler.ServeHTTP(&record, request)
		slog.Info("request", "peer", request.RemoteAddr, "method", request.Method,
			"target", request.RequestURI, "status", record.status, "bytes", record.size,
			"ms", time.Since(started).Seconds()*1000)
	})
}

func main() {
	runtime.GOMAXPROCS(1)
	flag.Parse()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	arguments := flag.Args()
	if len(arguments) == 2 && arguments[0] == "agent" {
		log.Fatal(agent(arguments[1]))
	}
	if len(arguments) != 3 || arguments[0] != "control-plane" {
		log.Fatal("usage: go_stack [-log] agent PORT | control-plane PORT AGENT_PORT")
	}
	var handler http.Handler = &plane{
		agent: "127.0.0.1:" + arguments[2], free: make(chan link, 1024),
	}
	if *logs {
		handler = logged(handler)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+arguments[1], handler))
}
