package rules

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// almostQuantity is a number with what people write after one: a unit, and what is measured.
var almostQuantity = regexp.MustCompile(`^\s*([0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)\s*([A-Za-z]*)\s*([A-Za-z]*)\s*$`)

// unitsMeant are the suffixes of quantities that other units, in lower case, stand for. 1024 goes before 1000, because
// memory is mostly meant.
var unitsMeant = map[string]string{
	"": "", "b": "", "byte": "", "bytes": "", "core": "", "cores": "", "cpu": "", "cpus": "", "vcpu": "", "vcpus": "",
	"m": "m", "milli": "m", "mcpu": "m", "mcore": "m", "mcores": "m", "millicore": "m", "millicores": "m", "millicpu": "m",
	"k": "Ki k", "kb": "Ki k", "kilobyte": "Ki k", "kilobytes": "Ki k", "ki": "Ki", "kib": "Ki",
	"mb": "Mi M", "megabyte": "Mi M", "megabytes": "Mi M", "meg": "Mi M", "mi": "Mi", "mib": "Mi",
	"g": "Gi G", "gb": "Gi G", "gigabyte": "Gi G", "gigabytes": "Gi G", "gig": "Gi G", "gi": "Gi", "gib": "Gi",
	"t": "Ti T", "tb": "Ti T", "terabyte": "Ti T", "terabytes": "Ti T", "ti": "Ti", "tib": "Ti",
	"p": "Pi P", "pb": "Pi P", "pi": "Pi", "pib": "Pi",
	"e": "Ei E", "eb": "Ei E", "ei": "Ei", "eib": "Ei",
}

// quantityRemedy says what to write instead of a text that is not a quantity. It shows no more of the text than a number
// with a unit.
func quantityRemedy(text string) string {
	const general = `write a number and a unit, such as "500m", "1Gi" or "1G"`
	if len(text) > maxQuantity {
		return general
	}
	parts := almostQuantity.FindStringSubmatch(text)
	if parts == nil {
		return general
	}
	number, unit, of := strings.Replace(parts[1], ",", ".", 1), parts[2], strings.ToLower(parts[3])
	if whole, thousands, comma := strings.Cut(parts[1], ","); comma && len(thousands) == 3 && whole != "0" {
		return "write the number without a comma" // 1,000 is a thousand to some, and one to others
	}
	if measured, ok := unitsMeant[of]; !ok || measured != "" && unit != "" {
		return general
	}
	if _, err := resource.ParseQuantity(number + unit); err == nil { // only a space, a comma or a word was wrong
		return didYouMeanQuantity(number, []string{unit})
	}
	meant, ok := unitsMeant[strings.ToLower(unit)]
	if !ok {
		return general
	}
	return didYouMeanQuantity(number, strings.Split(meant, " "))
}

func didYouMeanQuantity(number string, units []string) string {
	var b strings.Builder
	for i, unit := range units {
		if i > 0 {
			b.WriteString(" or ")
		}
		b.WriteString(`"` + number + unit + `"`)
	}
	return "did you mean " + b.String() + "?"
}
