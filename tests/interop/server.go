// A gRPC server that answers the standard interoperability cases, on a Unix socket.
//
// Usage: server SOCKET [DIRECTORY]. A method outside grpc.testing.TestService is answered with the
// bytes of the file in DIRECTORY that has its name. Messages are read and written by hand, so that
// nothing but the gRPC package is needed.
package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type rawCodec struct{}

func (rawCodec) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = data; return nil }
func (rawCodec) String() string                             { return "raw" }

// A field holds a number or bytes, by its wire type.
type field struct {
	number uint64
	value  uint64
	data   []byte
}

func parse(data []byte) (fields []field) {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		data = data[n:]
		value, n := binary.Uvarint(data)
		data = data[n:]
		one := field{number: tag >> 3, value: value}
		if tag&7 == 2 {
			one.data, data = data[:value], data[value:]
		}
		fields = append(fields, one)
	}
	return fields
}

func appendVarint(data []byte, value uint64) []byte {
	buffer := make([]byte, 10)
	return append(data, buffer[:binary.PutUvarint(buffer, value)]...)
}

func appendBytes(data []byte, number uint64, value []byte) []byte {
	data = appendVarint(data, number<<3|2)
	return append(appendVarint(data, uint64(len(value))), value...)
}

// payload returns a response with so many bytes as its payload.
func payload(size uint64) []byte {
	return appendBytes(nil, 1, appendBytes(nil, 2, make([]byte, size)))
}

// requested returns the sizes of the responses that a request asks for, and its status.
func requested(request []byte, isStream bool) (sizes, pauses []uint64, err error) {
	for _, one := range parse(request) {
		switch {
		case one.number == 2 && isStream:
			size, pause := uint64(0), uint64(0)
			for _, parameter := range parse(one.data) {
				if parameter.number == 1 {
					size = parameter.value
				} else {
					pause = parameter.value
				}
			}
			sizes, pauses = append(sizes, size), append(pauses, pause)
		case one.number == 2:
			sizes, pauses = []uint64{one.value}, []uint64{0}
		case one.number == 7:
			code, message := codes.OK, ""
			for _, part := range parse(one.data) {
				if part.number == 1 {
					code = codes.Code(part.value)
				} else {
					message = string(part.data)
				}
			}
			err = status.Error(code, message)
		}
	}
	if len(sizes) == 0 && !isStream {
		return []uint64{0}, []uint64{0}, err
	}
	return sizes, pauses, err
}

func answer(stream grpc.ServerStream, request []byte, isStream bool) error {
	sizes, pauses, err := requested(request, isStream)
	if err != nil {
		return err
	}
	for index, size := range sizes {
		time.Sleep(time.Duration(pauses[index]) * time.Microsecond)
		response := payload(size)
		if err := stream.SendMsg(&response); err != nil {
			return err
		}
	}
	return nil
}

func echoMetadata(stream grpc.ServerStream) {
	received, _ := metadata.FromIncomingContext(stream.Context())
	if values := received.Get("x-grpc-test-echo-initial"); len(values) > 0 {
		_ = stream.SetHeader(metadata.Pairs("x-grpc-test-echo-initial", values[0]))
	}
	if values := received.Get("x-grpc-test-echo-trailing-bin"); len(values) > 0 {
		stream.SetTrailer(metadata.Pairs("x-grpc-test-echo-trailing-bin", values[0]))
	}
}

func handle(_ interface{}, stream grpc.ServerStream) error {
	path, _ := grpc.MethodFromServerStream(stream)
	const service = "/grpc.testing.TestService/"
	if !strings.HasPrefix(path, service) {
		if fixed, found := answers[filepath.Base(path)]; found {
			var request []byte
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			return stream.SendMsg(&fixed)
		}
		return status.Error(codes.Unimplemented, "unknown service")
	}
	echoMetadata(stream)
	var request []byte
	switch method := strings.TrimPrefix(path, service); method {
	case "EmptyCall":
		empty := []byte{}
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		return stream.SendMsg(&empty)
	case "UnaryCall", "StreamingOutputCall":
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		return answer(stream, request, method == "StreamingOutputCall")
	case "StreamingInputCall":
		total := uint64(0)
		for {
			if err := stream.RecvMsg(&request); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			for _, one := range parse(request) {
				for _, part := range parse(one.data) {
					total += uint64(len(part.data))
				}
			}
		}
		response := appendVarint([]byte{1 << 3}, total)
		return stream.SendMsg(&response)
	case "FullDuplexCall":
		for {
			if err := stream.RecvMsg(&request); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := answer(stream, request, true); err != nil {
				return err
			}
		}
	}
	return status.Error(codes.Unimplemented, "unknown method")
}

var answers = map[string][]byte{}

func main() {
	if len(os.Args) > 2 {
		entries, err := os.ReadDir(os.Args[2])
		if err != nil {
			panic(err)
		}
		for _, entry := range entries {
			if answers[entry.Name()], err = os.ReadFile(filepath.Join(os.Args[2], entry.Name())); err != nil {
				panic(err)
			}
		}
	}
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.CustomCodec(rawCodec{}), grpc.UnknownServiceHandler(handle))
	_, _ = os.Stdout.WriteString("ready\n")
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
