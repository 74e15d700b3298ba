package harness

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Service is a program at a fixed address that can end, hang and come back.
type Service struct {
	Address string

	dir, name, program string
	host               *Host
	env, args          []string
	process            *process
}

// NewEndpoints starts a sample of cmd/endpoints on a host, by its FUNCTION_TARGET. It listens on ServicePort.
func (w *World) NewEndpoints(h *Host, target string, env ...string) (*Service, error) {
	return w.newService(h, w.programs.endpoints, append(env, "FUNCTION_TARGET="+target))
}

// NewSelf starts the test binary on a host. The environment must tell it what to be. It must listen on ServicePort.
func (w *World) NewSelf(h *Host, env ...string) (*Service, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return w.newService(h, self, env)
}

// ServicePort is where a service listens, on a host of its own.
const ServicePort = 8080

func (w *World) newService(h *Host, program string, env []string) (*Service, error) {
	s := &Service{
		Address: h.at(ServicePort), dir: w.dir, name: h.Name, program: program, host: h,
		env: append(env, "PORT="+strconv.Itoa(ServicePort)),
	}
	w.services = append(w.services, s)
	return s, s.Start()
}

// URL is the service's address as a URL.
func (s *Service) URL() string { return "http://" + s.Address }

// Start starts the program, again if it was killed, and waits until it listens.
func (s *Service) Start() (err error) {
	program, args := s.host.run(s.program, s.args...)
	if s.process, err = start(s.dir, s.name, program, s.env, args...); err != nil {
		return err
	}
	return poll(patience, func(context.Context) error {
		if s.process.ended() {
			return permanent(fmt.Errorf("%s ended: %s", s.name, s.process.lastWords()))
		}
		return dial(s.Address)
	})
}

// Kill ends the program with SIGKILL.
func (s *Service) Kill() {
	if s.process != nil {
		s.process.kill()
	}
}

// Pause makes the program hang until Resume.
func (s *Service) Pause() { s.process.pause() }

// Resume ends Pause.
func (s *Service) Resume() { s.process.resume() }

// Output is what the program wrote to stdout, in all its lives.
func (s *Service) Output() string { return content(s.process.out) }

// Logs are what all replicas so far wrote to stderr.
func (w *World) Logs() string {
	var all strings.Builder
	for n := range w.replicas {
		all.WriteString(content(w.path(fmt.Sprintf("amp-%d.log", n+1))))
	}
	return all.String()
}
