package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// TestQuantitiesThatAreMeantOtherwise is about what people write for a quantity.
func TestQuantitiesThatAreMeantOtherwise(t *testing.T) {
	const general = `write a number and a unit, such as "500m", "1Gi" or "1G"`
	for text, want := range map[string]string{
		"1Gb":            `did you mean "1Gi" or "1G"?`,
		"1GB":            `did you mean "1Gi" or "1G"?`,
		"1gb":            `did you mean "1Gi" or "1G"?`,
		"1g":             `did you mean "1Gi" or "1G"?`,
		"1 GB":           `did you mean "1Gi" or "1G"?`,
		"2 gigabytes":    `did you mean "2Gi" or "2G"?`,
		"512MB":          `did you mean "512Mi" or "512M"?`,
		"512Mb":          `did you mean "512Mi" or "512M"?`,
		"512mi":          `did you mean "512Mi"?`,
		"1GiB":           `did you mean "1Gi"?`,
		"1 Gi":           `did you mean "1Gi"?`,
		"64K":            `did you mean "64Ki" or "64k"?`,
		"64KB":           `did you mean "64Ki" or "64k"?`,
		"1TB":            `did you mean "1Ti" or "1T"?`,
		"0,5":            `did you mean "0.5"?`,
		"1,5Gi":          `did you mean "1.5Gi"?`,
		"1,5GB":          `did you mean "1.5Gi" or "1.5G"?`,
		"1,000":          `write the number without a comma`,
		"100M cpu":       `did you mean "100M"?`,
		"100m cpu":       `did you mean "100m"?`,
		"2 cores":        `did you mean "2"?`,
		"2cpu":           `did you mean "2"?`,
		"500 millicores": `did you mean "500m"?`,
		"1024 bytes":     `did you mean "1024"?`,
		"50%":            general,
		"":               general,
		"a secret":       general,
		"1 secret":       general,
		"1Gi secret":     general,
		"1secret":        general,
		"0x10":           general,
	} {
		t.Run(text, func(t *testing.T) {
			value, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			_, err = patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Bare), []review.Op{{Op: "add", Path: "/spec/containers/0/resources/limits/memory", Value: value}})
			if err == nil {
				t.Fatal("it is a quantity")
			}
			if want := `op 1 (add "/spec/containers/0/resources/limits/memory"): spec.containers[0].resources.limits["memory"] is not a valid quantity: ` + want; err.Error() != want {
				t.Errorf("error = %s\nwant    %s", err, want)
			}
		})
	}
}
