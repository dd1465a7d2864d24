"""What a user's own machine does with the endpoints: send recordings, wait for transcripts, load them.

recordings    what was named on the command line -> files and objects that are there
wishes        what is wanted of the container -> headers or fields
calls         one recording to a real-time endpoint, or to a container without AWS
records       the parts of a stream -> its records
answers       what a container's answer says
jobs          asynchronous invocations, and the ledger that outlives the command
submitting    recordings -> jobs
waiting       jobs -> what became of them
keeping       results -> files
batches       many recordings -> jobs, submitted together
realtime      the errand of invoke_realtime.py
asynchronous  the errand of invoke_async.py
tables        rows of text
progress      how far it is, on a terminal or in a log
load          a load test: jobs at once, and a look at the endpoint now and then
load_record   everything that a load test measured
load_file     the same as JSON
load_report   its tables
load_plot     its picture
commands      what all errands share
aws           boto3's clients, and what AWS refuses in sentences
"""
