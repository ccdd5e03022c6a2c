// Answers questions about network policies, one JSON value a line, by engines that are not ours: cyclonus' matcher for
// connections, apimachinery for selectors. Input: {"policies": [...], "asks": [...]} or {"selector": ..., "labels": [...]}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

type end struct {
	IP              string            `json:"ip"`
	Namespace       string            `json:"namespace"`
	NamespaceLabels map[string]string `json:"namespaceLabels"`
	Labels          map[string]string `json:"labels"`
}

type ask struct {
	From     end    `json:"from"`
	To       end    `json:"to"`
	Port     int    `json:"port"`
	PortName string `json:"portName"`
	Protocol string `json:"protocol"`
}

type question struct {
	Policies []*networkingv1.NetworkPolicy `json:"policies"`
	Asks     []ask                         `json:"asks"`
	Selector *metav1.LabelSelector         `json:"selector"`
	Labels   []map[string]string           `json:"labels"`
}

func peer(one end) *matcher.TrafficPeer {
	made := &matcher.TrafficPeer{IP: one.IP}
	if one.Namespace != "" {
		made.Internal = &matcher.InternalPeer{
			Namespace: one.Namespace, NamespaceLabels: one.NamespaceLabels, PodLabels: one.Labels,
		}
	}
	return made
}

func selected(one question) ([]bool, error) {
	selector, err := metav1.LabelSelectorAsSelector(one.Selector)
	if err != nil {
		return nil, err
	}
	answers := []bool{}
	for _, each := range one.Labels {
		answers = append(answers, selector.Matches(labels.Set(each)))
	}
	return answers, nil
}

func allowed(one question) []bool {
	policy := matcher.BuildNetworkPolicies(false, one.Policies)
	answers := []bool{}
	for _, each := range one.Asks {
		answers = append(answers, policy.IsTrafficAllowed(&matcher.Traffic{
			Source: peer(each.From), Destination: peer(each.To),
			ResolvedPort: each.Port, ResolvedPortName: each.PortName, Protocol: v1.Protocol(each.Protocol),
		}).IsAllowed())
	}
	return answers
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for decoder.More() {
		var one question
		if err := decoder.Decode(&one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		answers := []bool{}
		if one.Selector != nil {
			found, err := selected(one)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			answers = found
		} else {
			answers = allowed(one)
		}
		if err := encoder.Encode(answers); err != nil {
			os.Exit(1)
		}
	}
}
